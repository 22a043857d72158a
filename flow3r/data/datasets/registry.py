"""Datasets by name. A dataset's module is imported when it is opened.

The module of a dataset has a frozen dataclass `Settings` and a function
`open_dataset(path: Path, settings: Settings) -> Dataset`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from flow3r.config import from_mapping, require_choice
from flow3r.data.datasets.recorded import Layout
from flow3r.data.scenes import Dataset
from flow3r.errors import DataError

MODULES = {
    "scannetpp": "scannetpp",
    "scannet": "scannet",
    "7scenes": "seven_scenes",
    "nrgbd": "nrgbd",
    "co3d": "co3d",
    "sintel": "sintel",
    "bonn": "bonn",
    "tum_dynamics": "tum_dynamics",
    "kitti": "kitti",
    "omniworld": "omniworld",
    "tartanair": "tartanair",
    "rgbd_folder": "rgbd_folder",
    "colmap": "colmap",
    "nerfstudio": "nerfstudio",
}
"""Name of a dataset -> its module in this package."""


def open_dataset(name: str, path: Path | str, settings: Mapping[str, Any] | None = None) -> Dataset:
    """The dataset `name` below the folder `path`.

    Raises ConfigError for an unknown name or setting, DataError where the folder is missing or has
    another layout.
    """
    require_choice("dataset", name, MODULES)
    module = import_module(f"{__package__}.{MODULES[name]}")
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"{path}: not a folder; dataset {name} is read from the folder it lies in")
    return module.open_dataset(path, from_mapping(module.Settings, settings or {}, name))


def layouts() -> tuple[Layout, ...]:
    """What each dataset expects of a download, in the registry's order."""
    return tuple(import_module(f"{__package__}.{module}").LAYOUT for module in MODULES.values())
