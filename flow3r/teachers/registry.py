"""Teachers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flow3r.config import from_mapping, require, require_choice
from flow3r.teachers.base import Teacher
from flow3r.teachers.dis import DisConfig, DisTeacher
from flow3r.teachers.exact import ExactTeacher
from flow3r.teachers.noisy import NoisyConfig, NoisyTeacher
from flow3r.teachers.raft import RaftConfig, RaftTeacher
from flow3r.teachers.ufm import UfmConfig, UfmTeacher


def _exact(settings: Mapping[str, Any]) -> Teacher:
    require(not settings, f"teacher 'exact' has no settings, got {sorted(settings)}")
    return ExactTeacher()


TEACHERS: dict[str, Callable[[Mapping[str, Any]], Teacher]] = {
    "exact": _exact,
    "noisy": lambda settings: NoisyTeacher(from_mapping(NoisyConfig, settings, "teacher")),
    "dis": lambda settings: DisTeacher(from_mapping(DisConfig, settings, "teacher")),
    "raft": lambda settings: RaftTeacher(from_mapping(RaftConfig, settings, "teacher")),
    "ufm": lambda settings: UfmTeacher(from_mapping(UfmConfig, settings, "teacher")),
}

LEARNED = ("raft", "ufm")
"""Those with a network, which runs on a device."""
NEED_TRUTH = ("exact", "noisy")
"""Those that label generated clips only."""


def make_teacher(
    name: str, settings: Mapping[str, Any] | None = None, device: str | None = None
) -> Teacher:
    """The teacher called `name`. Raises ConfigError for an unknown name or setting.

    device: where a teacher with a network runs unless its settings say it.
    """
    require_choice("teacher", name, TEACHERS)
    settings = dict(settings or {})
    if device is not None and name in LEARNED:
        settings.setdefault("device", device)
    return TEACHERS[name](settings)
