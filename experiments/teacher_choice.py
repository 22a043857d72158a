"""The teacher that a command line names: a file of experiments/configs/teacher, and overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flow3r.teachers.base import Teacher

SETTING = "teacher.settings."


def teacher_config(name: str, overrides: list[str]) -> tuple[str, dict[str, Any]]:
    """Name and settings; ConfigError lists the choices, or names an argument that is no setting."""
    import yaml

    from experiments.compose import CONFIGS, choices
    from flow3r.config import require, require_choice

    require_choice("teacher", name, choices("teacher"))
    config = yaml.safe_load((CONFIGS / "teacher" / f"{name}.yaml").read_text(encoding="utf-8"))
    values = {k: v for k, v in config["settings"].items() if v != "???"}
    for override in overrides:
        key, _, value = override.partition("=")
        require(key.startswith(SETTING), f"unknown argument {override!r}; see --help")
        values[key.removeprefix(SETTING)] = yaml.safe_load(value)
    return config["name"], values


def chosen_teacher(name: str, overrides: list[str], device: str) -> Teacher:
    """The teacher itself; learned ones run on the device. Errors as `teacher_config`."""
    from flow3r.teachers.registry import make_teacher

    return make_teacher(*teacher_config(name, overrides), device)
