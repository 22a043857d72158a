"""A small recorded store with planted effects, written as the runs themselves would write it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CHANCE = {"rra_15": 40.0, "rra_30": 50.0, "rta_30": 15.0, "auc_30": 5.0, "pointmap_mse": 0.4}
BASE = {"rra_15": 70.0, "rra_30": 80.0, "rta_30": 45.0, "auc_30": 17.0, "pointmap_mse": 0.1}
SPREAD = {"rra_15": 8.0, "rra_30": 6.0, "rta_30": 8.0, "auc_30": 4.0, "pointmap_mse": 0.03}
FORMULATIONS = {
    "3d-sup": ("3d-sup", 0, 16, False),
    "flow-projective": ("flow-projective", 1024, 16, False),
    "flow-tracking": ("flow-tracking", 1024, 16, False),
    "flow-factored": ("flow-factored", 1024, 16, False),
    "flow-labelled": ("flow-factored", 0, 16, False),
    "3d-sup++": ("3d-sup", 0, 64, True),
}
SCALING = {
    "3d-sup": ("3d-sup", 0, 16, True),
    **{f"factored-{n}": ("flow-factored", n, 16, False) for n in (0, 16, 64, 256, 1024, 4096)},
    "3d-sup++": ("3d-sup", 0, 64, True),
}
EFFECTS = {"flow-factored": 3.0, "flow-tracking": 1.5, "flow-projective": -2.0, "3d-sup++": 6.0}


def write_text(path: Path, text: str) -> None:
    """Without the library's flush to disk, which is slow and of no use here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value))


def run_id_of(sweep: str, arm: str, seed: int) -> str:
    return hashlib.sha256(f"{sweep}/{arm}/{seed}".encode()).hexdigest()[:12]


@dataclass
class Store:
    """What to record; `effects` are added to every metric of an arm, in its better direction and
    in units of a tenth of its spread times the effect."""

    sweep: str = "formulations"
    arms: dict[str, tuple] = field(default_factory=lambda: dict(FORMULATIONS))
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    scenes: int = 24
    benchmarks: tuple[str, ...] = ("static", "dynamic")
    effects: dict[str, float] = field(default_factory=lambda: dict(EFFECTS))
    noise: float = 1.0
    headline: dict[str, Any] = field(
        default_factory=lambda: {
            "arm": "flow-factored",
            "baseline": "3d-sup",
            "benchmark": "dynamic",
            "metrics": ["rra_15", "auc_30"],
        }
    )
    scaling: dict[str, str] | None = None
    questions: list[dict[str, Any]] = field(default_factory=list)

    def write(self, output_dir: Path) -> Path:
        """Write the plan and every run; returns output_dir."""
        write_json(output_dir / "reports" / self.sweep / "plan.json", self.plan())
        for arm in self.arms:
            for seed in self.seeds:
                self.write_run(output_dir, arm, seed)
        return output_dir

    def plan(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "sweep": self.sweep,
            "profile": "smoke",
            "question": "Does flow from unlabelled clips help?",
            "baseline": self.headline["baseline"],
            "headline": self.headline,
            "arms": [
                {
                    "arm": arm,
                    "formulation": formulation,
                    "unlabelled_clips": unlabelled,
                    "labelled_clips": labelled,
                    "yardstick": yardstick,
                }
                for arm, (formulation, unlabelled, labelled, yardstick) in self.arms.items()
            ],
            "scaling": self.scaling,
            "questions": self.questions,
            "runs": [
                {"arm": arm, "seed": seed, "run_id": run_id_of(self.sweep, arm, seed)}
                for seed in self.seeds
                for arm in self.arms
            ],
            "git_commit": "abc1234",
        }

    def write_run(self, output_dir: Path, arm: str, seed: int) -> Path:
        run_id = run_id_of(self.sweep, arm, seed)
        folder = output_dir / "runs" / run_id
        spec = self._spec(arm, seed)
        write_json(folder / "spec.json", {"schema": 1, "kind": "run", "id": run_id, "spec": spec})
        write_json(folder / "status.json", self._status())
        write_json(folder / "provenance.json", _provenance())
        write_text(folder / "metrics.jsonl", self._curve(arm, seed))
        benchmarks = {name: self._benchmark(name, arm, seed) for name in self.benchmarks}
        evaluation = {"schema": 1, "run_id": run_id, "step": 800, "benchmarks": benchmarks}
        write_json(folder / "evaluation.json", evaluation)
        return folder

    def _spec(self, arm: str, seed: int) -> dict[str, Any]:
        _, unlabelled, labelled, _ = self.arms[arm]
        stages = [("head", 100, "flow-head"), ("joint", 700, "everything")]
        return {
            "seed": seed,
            "batch": {"replay": 6, "labelled": 3, "flexible": 15, "filler_replay_share": 0.8},
            "data": {"labelled_clips": labelled, "unlabelled_clips": unlabelled},
            "training": {"stages": [{"name": n, "steps": k, "trains": t} for n, k, t in stages]},
        }

    def score(self, benchmark: str, metric: str, arm: str, seed: int) -> np.ndarray:
        """Scores [scenes]: shared scene effect + shared seed effect + the arm's effect + noise."""
        shared = _generator("scene", benchmark, metric).normal(0, 1, self.scenes)
        seeded = _generator("seed", benchmark, metric, seed).normal(0, 0.1)
        own = _generator("own", benchmark, metric, seed, arm).normal(0, 0.2, self.scenes)
        level = _generator("level", benchmark, metric, seed, arm).normal(0, 0.03)
        sign = -1.0 if metric == "pointmap_mse" else 1.0
        effect = sign * self.effects.get(arm, 0.0) / 10
        value = shared + seeded + self.noise * (own + level) + effect
        return BASE[metric] + SPREAD[metric] * value

    def _benchmark(self, name: str, arm: str, seed: int) -> dict[str, Any]:
        columns = {metric: self.score(name, metric, arm, seed) for metric in BASE}
        scenes = [
            {"scene": f"{name}/{k:06d}", "metrics": {m: float(v[k]) for m, v in columns.items()}}
            for k in range(self.scenes)
        ]
        return {
            "fingerprint": f"data-{name}",
            "frames": 2,
            "scenes": scenes,
            "summary": {m: float(v.mean()) for m, v in columns.items()},
            "chance": CHANCE,
        }

    def _status(self) -> dict[str, Any]:
        return {
            "state": "done",
            "reason": None,
            "attempts": 1,
            "stage": "evaluate",
            "step": 800,
            "total_steps": 800,
            "train_seconds": 100.0,
            "seconds": 110.0,
        }

    def _curve(self, arm: str, seed: int) -> str:
        rng = _generator("curve", arm, seed)
        lines = []
        for step in range(10, 801, 10):
            metrics = {"train/loss": float(0.5 + 3 * np.exp(-step / 150) + rng.normal(0, 0.03))}
            if step % 100 == 0:
                gain = self.effects.get(arm, 0.0) + 10 * (1 - np.exp(-step / 200))
                metrics["validation/dynamic/rra_15"] = float(60 + gain + rng.normal(0, 0.5))
                metrics["validation/dynamic/auc_30"] = float(10 + gain / 2 + rng.normal(0, 0.3))
            entry = {"step": step, "stage": "joint", "time": 0.0, "metrics": metrics}
            lines.append(json.dumps(entry) + "\n")
        return "".join(lines)


def _generator(*key: Any) -> np.random.Generator:
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def _provenance() -> dict[str, Any]:
    return {
        "git_commit": "abc1234",
        "git_dirty": False,
        "packages": {"torch": "2.13.0"},
        "device": "cpu",
        "parameters": {"backbone": 300_000, "heads": 50_000, "flow_head": 80_000},
        "peak_memory_bytes": 900 * 2**20,
    }


def scaling_store(**changes: Any) -> Store:
    """A scaling sweep whose metric rises with the logarithm of the count."""
    counts = {name: spec[1] for name, spec in SCALING.items() if name.startswith("factored-")}
    effects = {name: 0.5 * np.log2(1 + count) for name, count in counts.items()}
    settings: dict[str, Any] = {
        "sweep": "scaling",
        "arms": dict(SCALING),
        "seeds": (0, 1, 2),
        "effects": {**effects, "3d-sup++": 5.0},
        "headline": {
            "arm": "factored-4096",
            "baseline": "3d-sup",
            "benchmark": "dynamic",
            "metrics": ["rra_15", "auc_30"],
        },
        "scaling": {"arm_prefix": "factored-", "axis": "unlabelled_clips"},
    }
    return Store(**{**settings, **changes})


@pytest.fixture(scope="session", autouse=True)
def _no_flushing():
    """Files are not forced onto the disk here: slow, and of no use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def store() -> Callable[..., Store]:
    """Build a store of the formulations sweep with some settings changed."""
    return Store


@pytest.fixture(scope="session")
def scaling() -> Callable[..., Store]:
    """Build a store of the scaling sweep with some settings changed."""
    return scaling_store


@pytest.fixture(scope="session")
def run_id() -> Callable[[str, str, int], str]:
    """The run id a store gives to (sweep, arm, seed)."""
    return run_id_of


def write_store(output_dir: Path) -> Path:
    """Both sweeps, small: what the notebooks are tried on."""
    Store(seeds=(0, 1), scenes=6).write(output_dir)
    scaling_store(seeds=(0, 1), scenes=6).write(output_dir)
    return output_dir


@pytest.fixture
def both_sweeps(tmp_path: Path) -> Path:
    """An output_dir with both sweeps recorded."""
    return write_store(tmp_path)
