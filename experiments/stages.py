"""Which shared stages a run needs. Each is computed once and used by every run that names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.identity import stage_id


@dataclass(frozen=True)
class Stage:
    """A shared computation with an identity of its own."""

    kind: str  # dataset, video, pretrain or chance
    id: str
    spec: dict[str, Any]
    depends_on: tuple[str, ...] = ()


def dataset_stage(dataset: dict[str, Any]) -> Stage:
    """Generated clips with the flow of a teacher."""
    return Stage("dataset", stage_id("dataset", dataset), dataset)


def video_stage(videos: dict[str, Any]) -> Stage:
    """Unlabelled clips out of a folder of videos."""
    return Stage("video", stage_id("video", videos), videos)


def unlabelled_stage(spec: dict[str, Any]) -> Stage:
    """Where a run's unlabelled clips come from."""
    data = spec["data"]
    return video_stage(data["videos"]) if data["videos"] else dataset_stage(data["unlabelled"])


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
    stages = [dataset_stage(d) for d in data["source"]]
    if spec["initialisation"]["kind"] == "pretrain":
        stages.append(pretrain_stage(spec))
    stages.append(dataset_stage(data["labelled"]))
    if data["unlabelled_clips"]:
        stages.append(unlabelled_stage(spec))
    return _unique([*stages, *benchmark_stages(spec)])


def benchmark_stages(spec: dict[str, Any]) -> list[Stage]:
    """Every stage that scoring on the test benchmarks needs, each after those it depends on."""
    data = spec["data"]
    benchmarks = (*data["validation"].values(), *data["test"].values())
    stages = [dataset_stage(benchmark) for benchmark in benchmarks]
    return _unique([*stages, *(chance_stage(spec, name) for name in data["test"])])


def _unique(stages: list[Stage]) -> list[Stage]:
    return list({stage.id: stage for stage in stages}.values())
