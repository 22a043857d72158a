"""Which shared stages a run needs. Each is computed once and used by every run that names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.identity import stage_id
from experiments.recorded import keeps_generated, sets_of
from experiments.unlabelled import SourceOfRun, sources_of


@dataclass(frozen=True)
class Stage:
    """A shared computation with an identity of its own."""

    kind: str  # dataset, recorded, ingest, pseudo-labels, pretrain or chance
    id: str
    spec: dict[str, Any]
    depends_on: tuple[str, ...] = ()


def dataset_stage(dataset: dict[str, Any]) -> Stage:
    """Generated clips with the flow of a teacher."""
    return Stage("dataset", stage_id("dataset", dataset), dataset)


def recorded_stage(recorded: dict[str, Any]) -> Stage:
    """Labelled clips of a downloaded dataset."""
    return Stage("recorded", stage_id("recorded", recorded), recorded)


def pool_stages(data: dict[str, Any], pool: str) -> list[Stage]:
    """Where the clips of the pool `labelled` or `source` come from, generated ones first."""
    generated = data["source"] if pool == "source" else [data["labelled"]]
    kept = generated if keeps_generated(data, pool) else []
    recorded = sets_of(data, pool).values()
    return [*(dataset_stage(d) for d in kept), *(recorded_stage(r) for r in recorded)]


def ingest_stage(videos: dict[str, Any]) -> Stage:
    """The manifest of a folder of videos."""
    settings = {name: videos[name] for name in ("folder", "content", "ingest")}
    return Stage("ingest", stage_id("ingest", settings), settings)


def labels_stage(source: SourceOfRun) -> Stage:
    """As many of a manifest's clips as the run needs, with a teacher's flow."""
    videos = source.videos
    settings: dict[str, Any] = {"clips": source.clips}
    if source.share is not None:
        settings["share"] = source.share
    settings |= {name: videos[name] for name in ("labels", "teacher")}
    depends_on = ()
    if videos["manifest"]:
        settings |= {name: videos[name] for name in ("manifest", "content")}
    else:
        ingest = ingest_stage(videos)
        settings["ingest"] = ingest.spec
        depends_on = (ingest.id,)
    return Stage("pseudo-labels", stage_id("pseudo-labels", settings), settings, depends_on)


def manifest_path(labels: dict[str, Any], output_dir: Path) -> Path:
    """The manifest that a pseudo-labels stage works on, given the stage's settings."""
    if "ingest" not in labels:
        return Path(labels["manifest"])
    return output_dir / "stages" / stage_id("ingest", labels["ingest"]) / "manifest.parquet"


def store_folder(runtime: dict[str, Any], output_dir: Path) -> Path:
    """Where frames and labels of videos lie, for all runs."""
    return Path(runtime.get("store") or output_dir / "store")


def source_stages(source: SourceOfRun) -> list[Stage]:
    """What makes the unlabelled clips of one source; the last one holds them."""
    if source.generated:
        return [dataset_stage(source.generated)]
    ingest = [] if source.videos["manifest"] else [ingest_stage(source.videos)]
    return [*ingest, labels_stage(source)]


def unlabelled_stages(spec: dict[str, Any]) -> list[Stage]:
    """What makes a run's unlabelled clips."""
    return [stage for source in sources_of(spec["data"]) for stage in source_stages(source)]


def pretrain_stage(spec: dict[str, Any]) -> Stage:
    """The shared initialisation of a run."""
    sources = [dataset_stage(d) for d in spec["data"]["source"]]
    settings = {
        "model": spec["model"],
        "pretrain": spec["initialisation"]["pretrain"],
        "source": [s.spec for s in sources],
    }
    return Stage("pretrain", stage_id("pretrain", settings), settings, tuple(s.id for s in sources))


def chance_stage(spec: dict[str, Any], benchmark: str) -> Stage:
    """The score of the best constant prediction on a test benchmark."""
    test = dataset_stage(spec["data"]["test"][benchmark])
    validation = dataset_stage(spec["data"]["validation"][benchmark])
    settings = {"test": test.spec, "validation": validation.spec}
    return Stage("chance", stage_id("chance", settings), settings, (test.id, validation.id))


def required_stages(spec: dict[str, Any]) -> list[Stage]:
    """Every stage that a resolved run spec needs, each after those it depends on."""
    data = spec["data"]
    labelled = [*pool_stages(data, "source"), *pool_stages(data, "labelled")]
    # What is damaged in a download stops a run before any other work is done.
    stages = [stage for stage in labelled if stage.kind == "recorded"]
    if spec["initialisation"]["kind"] == "pretrain":
        stages += [*(dataset_stage(d) for d in data["source"]), pretrain_stage(spec)]
    stages += labelled
    stages += unlabelled_stages(spec)
    return _unique([*stages, *benchmark_stages(spec)])


def benchmark_stages(spec: dict[str, Any]) -> list[Stage]:
    """Every stage that scoring on the test benchmarks needs, each after those it depends on."""
    data = spec["data"]
    benchmarks = (*data["validation"].values(), *data["test"].values())
    stages = [dataset_stage(benchmark) for benchmark in benchmarks]
    return _unique([*stages, *(chance_stage(spec, name) for name in data["test"])])


def _unique(stages: list[Stage]) -> list[Stage]:
    return list({stage.id: stage for stage in stages}.values())
