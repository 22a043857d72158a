"""Where weights come from, and what images they are used to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.rundir import RunDirectory
from flow3r.config import require
from flow3r.errors import DataError
from flow3r.files import read_json
from flow3r.inference.reconstruct import DEMO_CONFIDENCE
from flow3r.inference.size import DEMO_PIXELS, SizeRule
from flow3r.library.load import find_run


@dataclass(frozen=True)
class WeightsSource:
    """A run of ours, or a file of weights."""

    path: Path
    run: Path | None
    """The directory of the run or of the pretrain stage; None for released weights."""
    spec: dict[str, Any] | None
    """Its spec."""

    @property
    def trained_size(self) -> tuple[int, int] | None:
        """(height, width) of a run's training clips; None for released weights (many sizes)."""
        if self.spec is None:
            return None
        dataset = self.spec["data"]["labelled"] if "data" in self.spec else self.spec["source"][0]
        return dataset["world"]["height"], dataset["world"]["width"]

    def size_rule(
        self, patch_size: int, max_pixels: int | None, fit: str | None, shape: str | None
    ) -> SizeRule:
        """What is given, else what the weights are used to: of a run, the size and shape of its
        clips, cut out; of released weights, the demo's rule.

        Raises ConfigError for shape=trained with released weights.
        """
        trained = self.trained_size
        require(
            trained is not None or shape != "trained",
            "shape='trained' needs weights of a run; released ones were trained on many shapes",
        )
        pixels = DEMO_PIXELS if trained is None else trained[0] * trained[1]
        return SizeRule(
            pixels if max_pixels is None else max_pixels,
            patch_size,
            fit or ("stretch" if trained is None else "crop"),
            None if shape == "input" else trained,
        )

    @property
    def confidence(self) -> float:
        """The least confidence of a point. Ours learn pi3's label, an error below 2 %, which a
        small model rarely meets: nothing would be left above the demo's threshold.
        """
        return DEMO_CONFIDENCE if self.spec is None else 0.0

    @property
    def title(self) -> str:
        """In a few words, for a figure."""
        if self.spec is None:
            return self.path.name
        if "formulation" not in self.spec:
            return self.run.name
        name, seed = self.spec["formulation"]["name"], self.spec["seed"]
        return f"{name}, seed {seed}, run {self.run.name}"

    def record(self) -> dict[str, Any]:
        """For the summary: where the weights were made, and what identifies them."""
        record: dict[str, Any] = {"path": str(self.path)}
        if self.run is None:
            with open(self.path, "rb") as file:
                record["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
            return record
        provenance = self.run / "provenance.json"
        made = read_json(provenance) if provenance.exists() else {}
        return record | {
            "run_id": self.run.name,
            "formulation": self.spec.get("formulation", {}).get("name"),
            "seed": self.spec.get("seed"),
            "git_commit": made.get("git_commit"),
        }


def find_weights(path: Path) -> WeightsSource:
    """What lies at `path`: a run directory, a file in one, or a file of released weights.

    Raises DataError if there is nothing, or a folder that is no run directory.
    """
    if not path.exists():
        raise DataError(f"weights={str(path)!r}: no such file or folder")
    run = find_run(path)
    if run is None:
        if path.is_dir():
            raise DataError(f"weights={str(path)!r}: not a run directory (no spec.json)")
        return WeightsSource(path, None, None)
    return WeightsSource(path, run, RunDirectory(run).spec()["spec"])
