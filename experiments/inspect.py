"""Check a downloaded dataset before anything is trained on it."""

from __future__ import annotations

import sys

# The repository, not this folder, so that modules here shadow nothing: this one is called as a
# module of the standard library, so the path is put right before any other import.
sys.path[0] = __file__.rpartition("/experiments/")[0] or ".."

from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from experiments.arguments import run_script, split_arguments  # noqa: E402

HELP = """
Check a downloaded dataset before anything is trained on it.

  python experiments/inspect.py dataset=7scenes path=/path/to/7scenes
  python experiments/inspect.py dataset=scannet path=scannet split=val scenes=scene0011_00
  python experiments/inspect.py dataset=rgbd_folder path=F settings.depth_per_unit=5000

Counts scenes and frames, names missing and damaged files, units that look wrong, poses that are
none; measures whether depth maps and poses of neighbouring frames fit together, and whether another
convention (axes, direction, scale, kind of depth) would fit better. Prints what it found and writes
a new folder <output_dir>/inspections/<dataset>[-2, -3, ...] with report.json, report.txt,
contact_sheet.png and a point cloud per scene (.ply). The exit code is 1 where something is wrong.

  dataset=NAME         layout of the download (required)
  path=FOLDER          where it lies (required)
  split=NAME           an official split (default: the first one the download has)
  scenes=A,B           only these scenes
  frames=N             look at the pictures of about N frames per scene (default 60)
  settings.NAME=VALUE  settings of the dataset
  output_dir=FOLDER    (default outputs)
"""

OWN = ("dataset", "path", "split", "scenes", "frames", "output_dir")


def main(arguments: list[str]) -> int:
    """Inspect and say what was found."""
    own, rest = split_arguments(arguments, OWN)
    from flow3r.config import require

    for name in ("dataset", "path"):
        require(name in own, f"{name}= is required; see --help")
    frames = own.get("frames", "60")
    require(frames.isdigit() and int(frames) >= 4, f"frames={frames!r} must be a number >= 4")
    from experiments.inspection import inspect_dataset
    from experiments.progress import showing_progress
    from flow3r.data.datasets.registry import open_dataset

    dataset = open_dataset(own["dataset"], Path(own["path"]), _settings(rest))
    scenes = [name for name in own.get("scenes", "").split(",") if name]
    with showing_progress() as report:
        done = inspect_dataset(
            dataset,
            own.get("split", dataset.splits[0]),
            scenes,
            int(frames),
            Path(own.get("output_dir", "outputs")) / "inspections",
            report,
        )
    print(done.text)
    return 1 if done.findings.errors else 0


def _settings(arguments: list[str]) -> dict:
    """settings.<name>[.<part>]=<value>, values as in YAML; what is no YAML (*.png) is a text."""
    from flow3r.config import require

    settings: dict = {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        require(name.startswith("settings."), f"{argument!r} is not understood; see --help")
        *parents, last = name.removeprefix("settings.").split(".")
        place = settings
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _value(value)
    return settings


def _value(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text) if text else ""
    except yaml.YAMLError:
        return text


if __name__ == "__main__":
    run_script(main, HELP)
