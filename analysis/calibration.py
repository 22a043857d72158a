"""Check the project's interval on studies whose truth is known; print one JSON object.

usage: python analysis/calibration.py [studies=1000] [seeds=3,5,10] [scenes=128]
                                      [records=none|OUTPUT_DIR] [sweep=formulations]

For every design (Gaussian with several variance components, heavy tails, percentages with ties)
and number of seeds, so many studies are drawn. records= adds designs that resample the recorded
runs of a sweep: its baseline arm against itself (A/A), and its headline difference.

false_positive_rate  share of null studies whose 95 % interval excludes zero (wanted: 0.03-0.07)
coverage             share of studies with a planted difference whose interval holds it (0.93-0.97)
power                share of those studies whose interval excludes zero; the planted difference is
                     what 5 seeds find with power 0.8 at the null's variance
All three by number of seeds: over all designs, and in `designs` for each, with standard errors and
the power that the formula states. `methods` compares other intervals, `looks` peeks five times at a
null study of ten seeds. Progress on stderr. Exit code 0; 2 for bad arguments.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Python puts this file's folder first, where statistics.py would hide the standard module.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if {"-h", "--help"} & set(sys.argv[1:]):  # answered before the imports that take seconds
        print(__doc__.strip())
        sys.exit(0)

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis import bootstrap, null_studies
from analysis.arguments import parse_arguments
from analysis.crossed import spread, terms
from analysis.null_studies import REFERENCE_SEEDS, Design
from analysis.power import POWER, detectable, power
from analysis.sequential import look_level
from analysis.statistics import LEVEL, METHOD
from flow3r.config import require
from flow3r.errors import ConfigError, DataError

STREAM = 20261126
NO_RECORDS = "none"
CHUNK = 250  # studies drawn at once
COMPARED = 0.3  # of the studies, for the bootstraps: they are a thousand times slower
COMPARED_ON = ("seeds", "noise")  # designs: where only the seeds matter, and where they do not
RESAMPLES = 500
LOOKS, PLANNED = (2, 4, 6, 8, 10), 10
BOUNDS = {"false_positive_rate": (0.03, 0.07), "coverage": (0.93, 0.97)}
METHODS: dict[str, Callable[[np.ndarray, float, int], bootstrap.Interval]] = {
    "percentile bootstrap": bootstrap.percentile_interval,
    "BCa bootstrap": bootstrap.bca_interval,
    "studentised bootstrap": bootstrap.studentised_interval,
}


@dataclass(frozen=True)
class Settings:
    """The arguments of the command."""

    studies: int = 1000
    seeds: tuple[int, ...] = (3, 5, 10)
    scenes: int = 128
    records: str | None = None
    sweep: str = "formulations"

    def __post_init__(self) -> None:
        require(self.studies >= 10, f"studies={self.studies}: at least 10")
        require(self.scenes >= 2, f"scenes={self.scenes}: at least 2")
        require(
            bool(self.seeds) and min(self.seeds) >= 2,
            f"seeds={self.seeds}: each at least 2, there is no interval below",
        )


@dataclass(frozen=True)
class Outcome:
    """Shares of studies, of one design and number of seeds."""

    false_positive_rate: float
    coverage: float
    power: float
    stated_power: float

    def row(self, studies: int) -> dict[str, Any]:
        """For the JSON object, each share with its standard error."""
        shares = vars(self)
        errors = {
            name: round(float(np.sqrt(share * (1 - share) / studies)), 4)
            for name, share in shares.items()
            if name != "stated_power"
        }
        return {**{k: round(v, 4) for k, v in shares.items()}, "standard_error": errors}


def calibrate(settings: Settings, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Everything the command prints; `say` is told what is under way."""
    started = time.perf_counter()
    designs = null_studies.made_up(settings.scenes) + recorded_designs(settings)
    found: dict[str, dict[int, Outcome]] = {}
    rows = []
    for index, design in enumerate(designs):
        say(f"design {index + 1} of {len(designs)}: {design.name}")
        planted, found[design.name] = study(design, index, settings)
        by_seeds = {str(s): o.row(settings.studies) for s, o in found[design.name].items()}
        rows.append({"design": design.name, "about": design.about, "planted": planted,
                     "seeds": by_seeds})  # fmt: skip
    say("other intervals")
    compared = {
        design.name: compare_methods(design, settings)
        for design in designs
        if design.name in COMPARED_ON
    }
    say("looks at a running study")
    return {
        "schema": 1,
        "method": METHOD,
        "level": LEVEL,
        **{name: _pooled(found, name) for name in ("false_positive_rate", "coverage", "power")},
        "within_bounds": _within(found),
        "bounds": BOUNDS,
        "designs": rows,
        "methods": compared,
        "looks": looks(designs[1], settings),
        "settings": vars(settings),
        "seconds": round(time.perf_counter() - started, 1),
    }


def study(design: Design, index: int, settings: Settings) -> tuple[float, dict[int, Outcome]]:
    """The planted difference, and the outcome by number of seeds."""
    rng = np.random.default_rng([STREAM, index + 1, 1])
    null = design.components(0.0, rng)
    planted = detectable(null, REFERENCE_SEEDS, settings.scenes, aim=POWER)
    variances = design.components(planted, rng)  # percentages vary more where fewer are solved
    outcomes = {}
    for seeds in settings.seeds:
        shape = (settings.studies, seeds, settings.scenes)
        rng = np.random.default_rng([STREAM, index + 1, 2, seeds])
        mean, half = intervals(design, shape, 0.0, rng)
        false = float((np.abs(mean) > half).mean())
        mean, half = intervals(design, shape, planted, rng)
        covered = float((np.abs(mean - planted) <= half).mean())
        claimed = float((np.abs(mean) > half).mean())
        stated = power(variances, planted, seeds, settings.scenes)
        outcomes[seeds] = Outcome(false, covered, claimed, stated)
    return planted, outcomes


def intervals(
    design: Design, shape: null_studies.Shape, difference: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Means and half widths of the intervals of so many studies."""
    means, halves = [], []
    for start in range(0, shape[0], CHUNK):
        part = (min(CHUNK, shape[0] - start), *shape[1:])
        found = terms(design.draw(part, difference, rng))
        means.append(found.mean)
        halves.append(spread(found).half_width(LEVEL))
    return np.concatenate(means), np.concatenate(halves)


def compare_methods(design: Design, settings: Settings) -> dict[str, dict[str, float]]:
    """Coverage of other intervals on null studies, by number of seeds."""
    studies = max(int(settings.studies * COMPARED), 10)
    found: dict[str, dict[str, float]] = {}
    for seeds in settings.seeds:
        rng = np.random.default_rng([STREAM, 1, 3, seeds])
        drawn = design.draw((studies, seeds, settings.scenes), 0.0, rng)
        each = terms(drawn)
        own = np.abs(each.mean) <= spread(each).half_width(LEVEL)
        found[str(seeds)] = {METHOD: float(own.mean())}
        for name, method in METHODS.items():
            ends = [method(values, LEVEL, RESAMPLES) for values in drawn]
            found[str(seeds)][name] = float(np.mean([low <= 0 <= high for low, high in ends]))
    return found


def looks(design: Design, settings: Settings) -> dict[str, Any]:
    """How often five looks at a null study of ten seeds show an interval without zero."""
    rng = np.random.default_rng([STREAM, 1, 4])
    naive = np.zeros(settings.studies, dtype=bool)
    spent, last = naive.copy(), naive.copy()
    for start in range(0, settings.studies, CHUNK):
        part = slice(start, min(start + CHUNK, settings.studies))
        drawn = design.draw((part.stop - part.start, PLANNED, settings.scenes), 0.0, rng)
        for seeds in LOOKS:
            found = terms(drawn[:, :seeds])
            error = spread(found)
            level = look_level(seeds, PLANNED, LEVEL)
            last[part] = np.abs(found.mean) > error.half_width(LEVEL)
            naive[part] |= last[part]
            spent[part] |= np.abs(found.mean) > error.half_width(level)
    return {
        "seeds": list(LOOKS),
        "any_interval_at_full_level": float(naive.mean()),
        "any_interval_as_shown": float(spent.mean()),
        "claims_of_the_finished_study": float(last.mean()),
    }


def recorded_designs(settings: Settings) -> list[Design]:
    """A/A and the headline difference of a recorded sweep, by headline metric."""
    if settings.records is None:
        return []
    from analysis.records import load_records, score_matrices  # pandas: only where it is needed

    records = load_records(Path(settings.records), settings.sweep)
    asked, designs = records.plan.headline, []
    for name in asked.metrics:
        baseline, _, _ = score_matrices(records, [asked.baseline], asked.benchmark, name)
        arm, _, _ = score_matrices(records, [asked.arm, asked.baseline], asked.benchmark, name)
        where = f"recorded {asked.benchmark} {name}"
        designs.append(null_studies.recorded_null(f"{where}, A/A", baseline[0]))
        designs.append(null_studies.recorded_difference(f"{where}, two arms", arm[0], arm[1]))
    return designs


def parse_settings(arguments: Sequence[str]) -> Settings:
    """`key=value` arguments; ConfigError names the valid keys."""
    known = {"studies": "1000", "seeds": "3,5,10", "scenes": "128", "sweep": "formulations"}
    given = parse_arguments(arguments, {**known, "records": NO_RECORDS}, "calibration.py")
    try:
        studies, scenes = int(given["studies"]), int(given["scenes"])
        seeds = tuple(sorted({int(part) for part in given["seeds"].split(",")}))
    except ValueError:
        shown = {name: given[name] for name in ("studies", "seeds", "scenes")}
        raise ConfigError(f"{shown}: expected whole numbers, seeds as in seeds=3,5,10") from None
    records = None if given["records"] == NO_RECORDS else given["records"]
    return Settings(studies, seeds, scenes, records, given["sweep"])


def _pooled(found: dict[str, dict[int, Outcome]], name: str) -> dict[str, float]:
    seeds = next(iter(found.values()))
    return {
        str(s): round(float(np.mean([getattr(by[s], name) for by in found.values()])), 4)
        for s in seeds
    }


def _within(found: dict[str, dict[int, Outcome]]) -> bool:
    """Whether each rate over all designs lies in its bounds, for every number of seeds."""
    return all(
        low <= rate <= high
        for name, (low, high) in BOUNDS.items()
        for rate in _pooled(found, name).values()
    )


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status."""
    try:
        settings = parse_settings(arguments)
        found = calibrate(settings, lambda text: print(text, file=sys.stderr, flush=True))
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
