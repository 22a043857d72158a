"""The benchmarks' config files, `experiments/configs/evaluation/<name>.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from flow3r.config import from_mapping, require, require_choice
from flow3r.errors import ConfigError
from flow3r.evaluation.protocols.protocol import Protocol
from flow3r.files import read_json

FOLDER = Path(__file__).parent / "configs" / "evaluation"


def protocol_names() -> list[str]:
    """The benchmarks that have a config file."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_protocol(name: str, overrides: Mapping[str, Any] | None = None) -> Protocol:
    """The protocol of a benchmark, by its name.

    `overrides` change it: {"size.width": 112, "frames.file": "map.json"}; dotted names, values as
    in YAML. `frames.file` is a JSON file {scene: [frame indices]} (pi3's seq-id-maps have this
    form); it becomes `frames.listed`. Raises ConfigError, with the choices, for unknown names.
    """
    require_choice("evaluation", name, protocol_names())
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    for key, value in (overrides or {}).items():
        _set(content, key.split("."), value, f"evaluation.{key}")
    _read_list(content)
    return from_mapping(Protocol, {"name": name, **content}, f"evaluation.{name}")


def _set(content: dict[str, Any], path: list[str], value: Any, where: str) -> None:
    for part in path[:-1]:
        content = content.setdefault(part, {})
        require(isinstance(content, dict), f"{where}: {part} is no group of settings")
    content[path[-1]] = value


def _read_list(content: dict[str, Any]) -> None:
    frames = content.get("frames", {})
    file = frames.pop("file", "") if isinstance(frames, dict) else ""
    if not file:
        return
    listed = read_json(Path(file))
    good = isinstance(listed, dict) and all(
        isinstance(ids, list) and all(type(i) is int for i in ids) for ids in listed.values()
    )
    if not good:
        raise ConfigError(f"frames.file={file}: expected {{scene: [frame indices]}}")
    content["frames"] = {"rule": "listed", "listed": listed}
