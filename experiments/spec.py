"""The scientific specification of a run: everything that can change a number, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.migrations import SCHEMA
from experiments.recorded import RecordedSets
from flow3r.config import LATER, from_mapping, require, require_choice, to_mapping
from flow3r.data.mixing import BatchConfig
from flow3r.data.pseudo_labels import LabelSettings
from flow3r.data.subset import nested_counts
from flow3r.data.video.config import IngestConfig
from flow3r.data.world.config import WorldConfig
from flow3r.formulations.registry import FormulationConfig, supervises_unlabelled
from flow3r.losses.total import LossConfig
from flow3r.model.config import ModelConfig
from flow3r.teachers.registry import NEED_TRUTH, TEACHERS, make_teacher
from flow3r.training.config import TrainingConfig
from flow3r.training.pretrain import PretrainConfig

INITIALISATIONS = ("pretrain", "random", "weights", "pi3", "vggt", "dinov2")
FROM_FILE = ("weights", "pi3", "vggt", "dinov2")


@dataclass(frozen=True)
class TeacherConfig:
    """Whatever supplies the target flow of a data set."""

    name: str = "exact"
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        make_teacher(self.name, self.settings)


@dataclass(frozen=True)
class DatasetConfig:
    """Generated clips: a world, a seed of its own and a number of clips."""

    world: WorldConfig
    seed: int
    count: int
    teacher: TeacherConfig = field(default_factory=TeacherConfig)

    def __post_init__(self) -> None:
        require(self.count > 0, f"count={self.count} must be positive")


@dataclass(frozen=True)
class VideosConfig:
    """Real video: a folder, or a manifest that experiments/prepare.py has made of one."""

    frames: int
    """Per clip."""
    teacher: TeacherConfig
    labels: LabelSettings
    folder: str = ""
    manifest: str = ""
    content: str = ""
    """What the folder or the manifest holds; it identifies them. Filled when composing."""
    ingest: IngestConfig | None = None
    """How clips are found in the folder."""

    def __post_init__(self) -> None:
        require(
            bool(self.folder) != bool(self.manifest),
            "give one of folder=<folder of videos> and manifest=<file of experiments/prepare.py>",
        )
        require(
            (self.ingest is None) == bool(self.manifest),
            "ingest settings belong to a folder of videos, and only to it",
        )
        require(
            self.ingest is None or self.ingest.frames == self.frames,
            f"ingest.frames={self.ingest and self.ingest.frames} is not frames={self.frames}",
        )
        require(
            self.teacher.name not in NEED_TRUTH,
            f"teacher={self.teacher.name!r} needs the truth, which real video does not have; "
            f"choose one of {sorted(set(TEACHERS) - set(NEED_TRUTH))}",
        )


@dataclass(frozen=True)
class UnlabelledSource:
    """One of several sources of unlabelled clips: generated clips or real video."""

    clips: int
    """That it offers. Of a number of clips that is asked of all sources together each gives its
    part, nested in any larger number."""
    weight: float | None = None
    """How often it is drawn from, relative to the others; None for all: each clip equally often."""
    generated: DatasetConfig | None = None
    videos: VideosConfig | None = None

    def __post_init__(self) -> None:
        require(self.clips >= 1, f"clips={self.clips} must be at least 1")
        require(self.weight is None or self.weight > 0, f"weight={self.weight} must be positive")
        require(
            (self.generated is None) != (self.videos is None),
            "a source of unlabelled clips has one of generated and videos",
        )
        require(
            self.generated is None or self.clips <= self.generated.count,
            f"clips={self.clips} must lie in 1..{self.generated and self.generated.count}",
        )


@dataclass(frozen=True)
class DataConfig:
    """Where a run's clips come from."""

    source: tuple[DatasetConfig, ...]
    labelled: DatasetConfig
    validation: dict[str, DatasetConfig]
    test: dict[str, DatasetConfig]
    labelled_clips: int
    unlabelled_clips: int
    unlabelled: DatasetConfig
    videos: VideosConfig | None = None
    """Real video in place of the generated unlabelled clips."""
    recorded: RecordedSets | None = field(default=None, metadata=LATER)
    """Recorded labelled clips beside the generated ones, or in their place."""
    unlabelled_sources: dict[str, UnlabelledSource] | None = field(default=None, metadata=LATER)
    """Several sources by the user's own names for them, in place of `unlabelled` and `videos`."""
    unlabelled_share: float | None = field(default=None, metadata=LATER)
    """Of the videos' clips, chosen by their names: the same ones whatever videos are added. At most
    `unlabelled_clips` of them."""

    def __post_init__(self) -> None:
        require(
            1 <= self.labelled_clips <= self.labelled_pool,
            f"labelled_clips={self.labelled_clips} must lie in 1..{self.labelled_pool}",
        )
        require(
            self.unlabelled_clips >= 0,
            f"unlabelled_clips={self.unlabelled_clips} must not be negative",
        )
        self._check_unlabelled()
        self._check_layout()
        require(
            set(self.test) == set(self.validation),
            f"test benchmarks {sorted(self.test)} need validation sets of the same names, "
            f"got {sorted(self.validation)}",
        )
        seeds = [d.seed for d in self._generated()]
        require(
            len(set(seeds)) == len(seeds),
            f"every generated data set needs a seed of its own, got {seeds}",
        )

    @property
    def labelled_pool(self) -> int:
        """Labelled clips to choose from."""
        if self.recorded is None:
            return self.labelled.count
        generated = self.labelled.count if self.recorded.keeps_generated("labelled") else 0
        return generated + self.recorded.clips("labelled")

    @property
    def unlabelled_weights(self) -> tuple[float, ...] | None:
        """Of the sources that clips are taken from; None: every clip equally often."""
        if not self.unlabelled_sources or not self.unlabelled_clips:
            return None
        several = list(self.unlabelled_sources.values())
        counts = nested_counts(self.unlabelled_clips, [source.clips for source in several])
        weights = tuple(source.weight for source, count in zip(several, counts) if count)
        return None if None in weights else weights

    def _check_unlabelled(self) -> None:
        several, share = self.unlabelled_sources or {}, self.unlabelled_share
        require(
            not (several and self.videos), "videos belong to one of the unlabelled_sources, if any"
        )
        offered = self.unlabelled.count
        if several:
            offered = sum(source.clips for source in several.values())
        require(
            self.videos is not None or self.unlabelled_clips <= offered,
            f"unlabelled_clips={self.unlabelled_clips} must lie in 0..{offered}",
        )
        weighted = {source.weight is not None for source in several.values()}
        require(len(weighted) < 2, "give all unlabelled_sources a weight, or none of them")
        require(share is None or 0 < share <= 1, f"unlabelled_share={share} must lie in (0, 1]")
        named = all(s.videos for s in several.values()) if several else self.videos is not None
        require(
            share is None or named,
            f"unlabelled_share={share} chooses by names, which generated clips do not have; give "
            "their number (unlabelled_clips)",
        )

    def _check_layout(self) -> None:
        """Clips of one batch share frames and size."""
        worlds = [d.world for d in self._generated()]
        layouts = {(w.frames, w.height, w.width) for w in worlds}
        several = (self.unlabelled_sources or {}).values()
        for videos in [self.videos, *(source.videos for source in several)]:
            if videos is not None:
                layouts.add((videos.frames, *videos.labels.size))
        if self.recorded is not None:
            layouts |= self.recorded.layouts()
        require(
            len(layouts) == 1,
            f"all data sets must share (frames, height, width), got {sorted(layouts)}",
        )

    def _generated(self) -> list[DatasetConfig]:
        several = (self.unlabelled_sources or {}).values()
        return [
            *self.source,
            self.labelled,
            *([s.generated for s in several if s.generated] if several else [self.unlabelled]),
            *self.validation.values(),
            *self.test.values(),
        ]


@dataclass(frozen=True)
class InitialisationConfig:
    """Where the weights start: the pretrain stage, random, or a file of the user's.

    Files: `weights` is what the pretrain stage or a run writes, `pi3` released pi3 or Flow3r
    weights, `vggt` released VGGT weights, `dinov2` DINOv2 weights for the encoder (the rest
    random).
    """

    kind: str = "pretrain"
    pretrain: PretrainConfig | None = None
    weights: str = ""
    """Path of the file."""
    content: str = ""
    """Hash of the file; it identifies the weights, the path does not. Filled when composing."""

    def __post_init__(self) -> None:
        require_choice("kind", self.kind, INITIALISATIONS)
        require(
            (self.kind == "pretrain") == (self.pretrain is not None),
            "pretrain settings belong to kind=pretrain, and only to it",
        )
        require(
            (self.kind in FROM_FILE) == bool(self.weights),
            f"initialisation.weights=<path> belongs to kinds {FROM_FILE}, and only to them",
        )


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured during and after training."""

    validation_every: int
    validation_clips: int
    batch: int = 64

    def __post_init__(self) -> None:
        for name in ("validation_every", "validation_clips", "batch"):
            require(getattr(self, name) > 0, f"{name}={getattr(self, name)} must be positive")


@dataclass(frozen=True)
class RunSpec:
    """One run. Equal specs are the same run."""

    seed: int
    formulation: FormulationConfig
    model: ModelConfig
    initialisation: InitialisationConfig
    data: DataConfig
    batch: BatchConfig
    loss: LossConfig
    training: TrainingConfig
    evaluation: EvaluationConfig
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require(self.schema == SCHEMA, f"schema={self.schema} is not {SCHEMA}")
        name = self.formulation.name
        require(
            supervises_unlabelled(name) or self.data.unlabelled_clips == 0,
            f"{name} is trained on labelled clips only; set data.unlabelled_clips=0, "
            f"not {self.data.unlabelled_clips}",
        )


def parse_spec(mapping: Mapping[str, Any]) -> RunSpec:
    """Validate a plain mapping; ConfigError names what is wrong and the valid choices."""
    return from_mapping(RunSpec, mapping)


def resolve(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The complete plain mapping, defaults filled in: what is hashed and stored."""
    return to_mapping(parse_spec(mapping))
