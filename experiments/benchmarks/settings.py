"""The command line of the benchmark: cases, their defaults, one Settings per combination."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from experiments.arguments import split_arguments, whole_number
from flow3r.config import require, require_choice

STUDY = {"model": "pi3-study"}
PAPER = {"model": "pi3-large"}
DEFAULTS: dict[str, dict[str, str]] = {
    "forward": STUDY,
    "train_step": STUDY,
    "factored_head": {**PAPER, "pairs": "all", "repeats": "3"},
    "attention": PAPER,
    "losses": STUDY,
    "loader": STUDY,
    "profile": STUDY,
    "video_input": STUDY,
    "labelling": STUDY,
}
"""Of each case. The two cases of single layers are about the paper's sizes."""
SIZES = {
    "smoke": {"frames": "3", "size": "32", "batch": "2"},
    "study": {"frames": "2", "size": "48", "batch": "24"},
}
"""By the end of a model's name: what its profile trains it with."""
OTHER_SIZES = {"frames": "8", "size": "224", "batch": "1"}

SEVERAL = ("frames", "size")
"""Settings that take a list."""
PRECISIONS = ("float32", "bfloat16")
PARTS = ("forward", "train_step")
FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class Settings:
    """One measurement."""

    case: str
    model: str
    frames: int
    size: int
    formulation: str = "flow-factored"
    batch: int = 1
    pairs: str = "2"
    device: str = "cpu"
    precision: str = "float32"
    compile: bool = False
    gradients: bool = False
    part: str = "forward"
    videos: str = ""
    workers: int = 2
    steps: int = 200
    repeats: int = 5
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("frames", "size", "batch", "repeats", "threads", "workers", "steps"):
            require(getattr(self, name) >= 1, f"{name}={getattr(self, name)} must be at least 1")
        require_choice("precision", self.precision, PRECISIONS)
        require_choice("part", self.part, PARTS)
        require(
            self.pairs == "all" or self.pairs.isdecimal(),
            f"pairs={self.pairs!r} is not valid; give a number or all",
        )

    def ordered_pairs(self) -> list[list[int]]:
        """(source, target) of the measured pairs: near ones first, both directions."""
        every = [
            pair
            for gap in range(1, self.frames)
            for first in range(self.frames - gap)
            for pair in ([first, first + gap], [first + gap, first])
        ]
        return every if self.pairs == "all" else every[: int(self.pairs)]


def parse(arguments: Sequence[str]) -> list[Settings]:
    """The measurements that the arguments ask for; ConfigError names a wrong one and the choices.

    Nothing is imported that takes time, so a typing error is answered at once.
    """
    names = [field.name for field in fields(Settings)]
    own, rest = split_arguments(arguments, names)
    require(not rest, f"unknown arguments {rest}; valid names are {names}")
    require("case" in own, f"case=NAME is required; choose one of {list(DEFAULTS)}")
    require_choice("case", own["case"], DEFAULTS)
    values = {**DEFAULTS[own["case"]], **own}
    sizes = SIZES.get(values["model"].rpartition("-")[2], OTHER_SIZES)
    values = {**sizes, **values}
    several = [[(name, v) for v in values.pop(name).split(",")] for name in SEVERAL]
    return [
        Settings(**{k: _typed(k, v) for k, v in {**values, **dict(chosen)}.items()})
        for chosen in itertools.product(*several)
    ]


def _typed(name: str, text: str) -> Any:
    kind = next(f.type for f in fields(Settings) if f.name == name)
    if kind == "bool":
        require_choice(name, text, FLAGS)
        return FLAGS[text]
    return whole_number(name, text) if kind == "int" else text
