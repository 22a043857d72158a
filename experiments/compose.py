"""Hydra configs and overrides -> a validated run spec. The only module that knows Hydra."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from experiments.content import identify
from experiments.grid import grid_arms
from flow3r.config import require
from flow3r.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONFIGS = Path(__file__).parent / "configs"
SURROUNDINGS = (
    "output_dir",
    "profile_name",
    "runtime",
    "cost",
    "size",
    "steps",
    "teacher",
    "head_options",
    "released_weights",
)
PROFILE_VALUES = ("model_size", "matched_steps")
"""What a sweep may lay out per profile and name in its arms, as in `model=vggt-{model_size}`."""
INIT = "model.init="
KINDS = {
    "pi3": "pi3",
    "flow3r": "pi3",
    "vggt": "vggt",
    "dinov2": "dinov2",
    "run": "weights",
    "pretrain": "weights",
}
"""Layout of a weights file -> `initialisation.kind`."""


@dataclass(frozen=True)
class Composed:
    """A composed config, split into what defines the run and what merely surrounds it."""

    spec: dict[str, Any]
    runtime: dict[str, Any]
    output_dir: Path
    profile: str
    cost: dict[str, Any]


def choices(group: str) -> list[str]:
    """The options of a config group, by file name."""
    return sorted(p.stem for p in (CONFIGS / group).glob("*.yaml"))


def compose(overrides: list[str]) -> Composed:
    """Compose and validate one run; ConfigError names the unknown thing and the choices."""
    config = _compose_plain(tuple(_with_initial_weights(overrides)))
    from experiments.spec import resolve

    identify(config, overrides)
    surroundings = {key: config.pop(key) for key in SURROUNDINGS}
    return Composed(
        spec=resolve(config),
        runtime=surroundings["runtime"],
        output_dir=Path(surroundings["output_dir"]),
        profile=surroundings["profile_name"],
        cost=surroundings["cost"],
    )


def _with_initial_weights(overrides: list[str]) -> list[str]:
    """Write `model.init=<path>` out: which kind of weights it is, its names tell."""
    paths = [o.removeprefix(INIT) for o in overrides if o.startswith(INIT)]
    if not paths:
        return overrides
    from flow3r.weights.files import read_weights
    from flow3r.weights.layouts import recognise

    kind = KINDS[recognise(read_weights(Path(paths[-1])), f"{INIT}{paths[-1]}")]
    return [
        *(o for o in overrides if not o.startswith(INIT)),
        f"initialisation.kind={kind}",
        f"initialisation.weights={_quoted(paths[-1])}",
        "++initialisation.pretrain=null",
    ]


def _quoted(text: str) -> str:
    """A text as a Hydra value, whatever characters it has."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def compose_run(overrides: list[str]) -> dict[str, Any]:
    """The resolved spec alone."""
    return compose(overrides).spec


def load_sweep(name: str, profile: str) -> dict[str, Any]:
    """A sweep's YAML with the profile's own values merged in."""
    if name not in choices("sweep"):
        raise ConfigError(f"sweep={name!r} is not known; choose one of {choices('sweep')}")
    if profile not in choices("profile"):
        raise ConfigError(f"profile={profile!r} is not known; choose one of {choices('profile')}")
    sweep = yaml.safe_load((CONFIGS / "sweep" / f"{name}.yaml").read_text(encoding="utf-8"))
    if "arms" not in sweep and "grid" not in sweep:
        raise ConfigError(f"sweep={name} trains nothing: it has no arms; see sweeps/run.py --help")
    profiles = sweep.pop("profiles", {})
    if profiles and profile not in profiles:
        raise ConfigError(
            f"sweep={name} is not laid out for profile={profile}; it has {sorted(profiles)}"
        )
    merged = {"name": name, **sweep, **profiles.get(profile, {})}
    return _with_scaling_headline(_with_profile_values(_with_grid_arms(merged)))


def _with_profile_values(sweep: dict[str, Any]) -> dict[str, Any]:
    """The profile's own values in place of their {names} in the overrides of the arms."""
    values = {name: sweep.pop(name) for name in PROFILE_VALUES if name in sweep}
    arms = {
        name: {**arm, "overrides": [_filled(o, values) for o in arm["overrides"]]}
        for name, arm in sweep["arms"].items()
    }
    return {**sweep, "arms": arms}


def _filled(override: str, values: dict[str, Any]) -> str:
    for name, value in values.items():
        override = override.replace(f"{{{name}}}", str(value))
    return override


def _with_grid_arms(sweep: dict[str, Any]) -> dict[str, Any]:
    """The arms of the sweep's grid after its explicit ones."""
    grid, values = sweep.pop("grid", None), sweep.pop("grid_values", {})
    if grid is None:
        return sweep
    arms, explicit = grid_arms(grid, values), sweep.get("arms") or {}
    twice = sorted(set(arms) & set(explicit))
    require(not twice, f"grid.name={grid['name']!r}: {twice} are among the explicit arms, too")
    return {**sweep, "arms": {**explicit, **arms}}


def _with_scaling_headline(sweep: dict[str, Any]) -> dict[str, Any]:
    """The headline's arm is the largest one on the scaling axis."""
    if not sweep.get("scaling") or "arm" in sweep["headline"]:
        return sweep
    prefix = sweep["scaling"]["arm_prefix"]
    largest = max(int(arm.removeprefix(prefix)) for arm in sweep["arms"] if arm.startswith(prefix))
    return {**sweep, "headline": {**sweep["headline"], "arm": f"{prefix}{largest}"}}


def _compose_plain(overrides: tuple[str, ...]) -> dict[str, Any]:
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    _check_groups(overrides)
    try:
        return OmegaConf.to_container(_composed(overrides), resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, overrides)) from None


def _composed(overrides: tuple[str, ...]) -> DictConfig:
    """What Hydra composes. Choices of files take it a third of a second, so that configs which
    differ in values alone, as most arms of a sweep do, are made of the same composition."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    values = tuple(override for override in overrides if _sets_a_value(override))
    files = tuple(override for override in overrides if not _sets_a_value(override))
    config = deepcopy(_composed_files(files))
    for change in OverridesParser.create().parse_overrides(list(values)):
        OmegaConf.update(config, change.key_or_group, change.value(), merge=True)
    return config


def _sets_a_value(override: str) -> bool:
    """Whether an override changes one value that is there: neither adds, takes out nor picks a
    file. What has a comma is left to Hydra, which may take it for several values."""
    key = override.partition("=")[0]
    return key[0] not in "+~" and key not in _groups() and "@" not in key and "," not in override


@cache
def _composed_files(overrides: tuple[str, ...]) -> DictConfig:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    if not GlobalHydra.instance().is_initialized():
        initialize_config_dir(str(CONFIGS), version_base="1.3")
    return hydra_compose("run", overrides=list(overrides))


def _check_groups(overrides: tuple[str, ...]) -> None:
    for override in overrides:
        key, _, value = override.partition("=")
        if not _ and not override.startswith("~"):  # ~name takes a setting out
            raise ConfigError(f"{override!r} is not an override; write it as name=value")
        if key in _groups() and value not in choices(key):
            raise ConfigError(f"{key}={value!r} is not known; choose one of {choices(key)}")


@cache
def _groups() -> tuple[str, ...]:
    return tuple(p.name for p in CONFIGS.iterdir() if p.is_dir() and p.name != "sweep")


def _explain(error: Exception, overrides: tuple[str, ...]) -> str:
    """What is wrong, with the names that would be right at the place of the first wrong one."""
    first = str(error).strip().splitlines()[0]
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if key not in _groups() and (names := _names_beside(key)):
            return f"{override}: no such setting; valid names there: {names}"
    return f"{first} (overrides: {' '.join(overrides) or 'none'})"


def _names_beside(key: str) -> list[str]:
    """The names at the level where a dotted key leaves the default config; [] if it exists."""
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    level = OmegaConf.to_container(hydra_compose("run"), resolve=False)
    for part in key.split("."):
        if isinstance(level, list) and part.isdigit() and int(part) < len(level):
            level = level[int(part)]
        elif isinstance(level, dict) and part in level:
            level = level[part]
        elif isinstance(level, dict):
            return sorted(map(str, level))
        else:
            return []
    return []
