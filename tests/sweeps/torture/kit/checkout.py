"""A copy of the source tree with sweeps and formulations of a test in it, and its front door.

A formulation is a file in a package and a sweep one in a folder, so this is what a person has who
adds them. That the copy is no repository keeps commits made meanwhile out of the records.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[4]
PACKAGES = ("flow3r", "experiments", "sweeps", "analysis")

SMALL = (
    *("profile=smoke", "size.source_clips=4", "size.labelled_pool=4", "size.unlabelled_pool=4"),
    *("size.validation_clips=2", "size.test_clips=2", "size.curve_clips=2"),
    *("size.unlabelled_clips=4", "size.labelled_clips=2", "size.more_labelled_clips=4"),
    *("steps.matching=1", "steps.geometry=1", "steps.head=2", "steps.joint=10"),
    *("steps.validation_every=10", "runtime.log_every=1", "runtime.checkpoint_seconds=0.1"),
)
"""A run of twelve steps: starting its process is most of the work."""


class Checkout:
    """The copy, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in PACKAGES:
            leave = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / name, folder / name, ignore=leave)

    def add_sweep(self, name: str, sweep: Mapping[str, Any]) -> None:
        """One more choice of sweep=."""
        path = self.folder / "experiments" / "configs" / "sweep" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(dict(sweep), sort_keys=False), encoding="utf-8")

    def add_formulation(self, name: str, code: str) -> None:
        """One more choice of formulation=, without options; or another code for it."""
        (self.folder / "flow3r" / "formulations" / f"{name}.py").write_text(code)
        config = self.folder / "experiments" / "configs" / "formulation" / f"{name}.yaml"
        config.write_text(f"# @package _global_\nformulation: {{name: {name}, options: {{}}}}\n")

    def start(self, output: Path, *words: str, **options: Any) -> subprocess.Popen:
        """The front door's process, in a session of its own; what it says is appended to `output`.

        `options`: for the process.
        """
        with open(output, "ab") as file:
            return subprocess.Popen(
                [sys.executable, str(self.folder / "sweeps" / "run.py"), *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
                **options,
            )

    def train(self, *words: str) -> None:
        """One run, without a scheduler."""
        script = self.folder / "experiments" / "train.py"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, str(script), *words], check=True, env=environment)
