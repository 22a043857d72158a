"""`tuned=true`: another sweep with the values that were chosen for its arms' formulations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.compose import compose
from flow3r.config import require
from flow3r.errors import ConfigError
from sweeps.options import Options
from sweeps.tuning.results import Tuned, read_tuned, scientific, tuned_path
from sweeps.tuning.settings import TunedArms, TuningConfig, load_tuning

SUFFIX = "-tuned"
"""Of the sweep's name: its plan and its report lie in a folder of their own."""
UNTUNED = "-default"
"""Of an arm's name that runs with the default values: the same run as in the sweep itself."""

Sweep = dict[str, Any]


def with_chosen_values(sweep: Sweep, options: Options) -> Sweep:
    """The sweep with tuned arms, the untuned ones beside, and questions about the difference.

    ConfigError where this profile was not tuned in this folder, or was with other overrides, or
    where a seed took part in the tuning.
    """
    config = load_tuning(options.profile)
    tuned = read_tuned(options.output_dir, options.profile)
    _check(tuned, sweep, options)
    formulations = {
        name: _formulation(arm, options)
        for name, arm in sweep["arms"].items()
        if name not in config.tuned.untouched
    }
    arms = dict(sweep["arms"])
    for name, formulation in formulations.items():
        arms[name] = _tuned_arm(sweep["arms"][name], tuned, formulation)
    beside = [name for name in config.tuned.beside if name in formulations]
    for name in beside:
        arms[name + UNTUNED] = {**sweep["arms"][name], "baseline": _untuned_baseline(sweep, beside)}
    return {
        **sweep,
        "name": sweep["name"] + SUFFIX,
        "arms": arms,
        "questions": [*(sweep.get("questions") or ()), *_questions(config, sweep, beside)],
    }


def _check(tuned: Tuned, sweep: Mapping[str, Any], options: Options) -> None:
    asked = scientific(options.overrides)
    varied = {name for values in tuned.values.values() for name in values}
    for override in asked:
        name = override.partition("=")[0]
        require(name not in varied, f"{override}: tuned=true sets {name} itself")
    require(
        asked == list(tuned.overrides),
        f"{tuned_path(options.output_dir, options.profile)} holds what was chosen with the "
        f"overrides {list(tuned.overrides) or 'none'}, not {asked or 'none'}; tune with the same "
        "overrides (runtime.* may differ)",
    )
    seeds = set(options.seeds if options.seeds is not None else sweep["seeds"])
    shared = sorted(seeds & set(tuned.seeds))
    require(not shared, f"seeds={shared}: the values were chosen on them; choose others")


def _formulation(arm: Mapping[str, Any], options: Options) -> str:
    """What an arm's run is trained with, whether the arm says so or the profile."""
    words = [f"profile={options.profile}", *options.overrides]
    return compose([*words, *map(str, arm.get("overrides") or ())]).spec["formulation"]["name"]


def _tuned_arm(arm: Mapping[str, Any], tuned: Tuned, formulation: str) -> dict[str, Any]:
    """The arm with its formulation's values; what the arm sets itself stays as it is."""
    if formulation not in tuned.values:
        raise ConfigError(
            f"tuned=true: {formulation} was not tuned; tuned are {sorted(tuned.values)}"
        )
    own = [str(override) for override in arm.get("overrides") or ()]
    names = {override.partition("=")[0].lstrip("+") for override in own}
    values = tuned.values[formulation].items()
    chosen = [f"{name}={value!r}" for name, value in values if name not in names]
    return {**arm, "overrides": [*own, *chosen]}


def _untuned_baseline(sweep: Mapping[str, Any], beside: Sequence[str]) -> str:
    """Untuned arms are compared among themselves, as in the sweep itself."""
    baseline = sweep["baseline"]
    return baseline + UNTUNED if baseline in beside else baseline


def _questions(
    config: TuningConfig, sweep: Mapping[str, Any], beside: Sequence[str]
) -> list[dict[str, Any]]:
    """What tuning brings to each formulation, and the headline's difference without tuning."""
    headline, rule = sweep["headline"], config.tuned
    asked = [
        _question(
            config,
            rule,
            f"tuning-{name}",
            f"Does tuning improve {name}?",
            {"arm": name, "baseline": name + UNTUNED},
        )
        for name in beside
    ]
    pair = (headline.get("arm"), headline["baseline"])
    if all(name in beside for name in pair):
        arms = {"arm": pair[0] + UNTUNED, "baseline": pair[1] + UNTUNED}
        text = f"Without tuning, is {pair[0]} better than {pair[1]}?"
        asked.append(_question(config, rule, "headline-untuned", text, arms))
    return asked


def _question(
    config: TuningConfig, rule: TunedArms, name: str, text: str, difference: dict[str, str]
) -> dict[str, Any]:
    return {
        "id": name,
        "question": text,
        "metric": config.metric,
        "benchmark": config.benchmark,
        "difference": difference,
        "smallest_difference": rule.smallest_difference,
        "family": "tuning",
    }
