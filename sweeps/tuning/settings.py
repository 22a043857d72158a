"""What `sweep=tuning` tries: the content of experiments/configs/sweep/tuning.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from flow3r.config import from_mapping, require
from flow3r.errors import ConfigError
from flow3r.evaluation.names import metric
from sweeps.options import CONFIGS

NAME = "tuning"
SETTINGS = CONFIGS / "sweep" / f"{NAME}.yaml"
DEFAULT = 0
"""The number of the candidate that has the default values."""


@dataclass(frozen=True)
class Parameter:
    """A number that is tuned, on a logarithmic scale; its name is the override that sets it."""

    label: str
    low: float
    high: float

    def __post_init__(self) -> None:
        require(0 < self.low < self.high, f"low={self.low}, high={self.high}: 0 < low < high")


@dataclass(frozen=True)
class TunedArms:
    """How the chosen values enter another sweep.

    untouched: arms that stay as they are. beside: arms that are also run with the default values.
    smallest_difference: of interest in the questions that are added, in the metric's unit.
    """

    untouched: tuple[str, ...]
    beside: tuple[str, ...]
    smallest_difference: float


@dataclass(frozen=True)
class TuningConfig:
    """A tuning, laid out for one profile.

    scenes: overrides of every candidate. candidates: per formulation. rungs: shares of the steps.
    """

    question: str
    formulations: tuple[str, ...]
    metric: str
    benchmark: str
    space: dict[str, Parameter]
    points_seed: int
    scenes: tuple[str, ...]
    candidates: int
    rungs: tuple[float, ...]
    seeds: tuple[int, ...]
    tuned: TunedArms

    def __post_init__(self) -> None:
        metric(self.metric)
        fewest = 2 ** len(self.rungs) + 1
        require(
            self.candidates >= fewest,
            f"candidates={self.candidates}: with {len(self.rungs)} rungs at least {fewest}, so "
            "that one comes to the end beside the default",
        )
        require(bool(self.seeds), "seeds=[]: give at least one")
        ordered = list(self.rungs) == sorted(set(self.rungs))
        require(
            ordered and all(0 < share < 1 for share in self.rungs),
            f"rungs={list(self.rungs)}: shares of the steps between 0 and 1, in ascending order",
        )


def load_tuning(profile: str, file: Path = SETTINGS) -> TuningConfig:
    """Read the YAML with the profile's own values; ConfigError names the profiles there are."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    profiles = content.pop("profiles")
    if profile not in profiles:
        raise ConfigError(
            f"sweep={NAME} is not laid out for profile={profile}; it has {sorted(profiles)}"
        )
    return from_mapping(TuningConfig, {**content, **profiles[profile]}, f"sweep={NAME}")
