"""An output folder of a tiny sweep, grown as a sweep makes it grow, and what its store holds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from experiments.rundir import now
from flow3r.files import write_json
from sweeps.tracking.store import SweepProjection
from sweeps.tracking.tracked_run import CURSOR_TAG
from sweeps.tracking.uri import default_uri

RUN = "0123456789ab"
SPEC = {
    "seed": 3,
    "formulation": {"name": "flow-factored"},
    "long": "x" * 7000,
    "data": {"clips": 4},
    "training": {"stages": [{"name": "head", "lr": 0.001}, {"name": "joint", "lr": 0.002}]},
}


class SweepFolder:
    """A plan of one run shared by two arms, half trained."""

    def __init__(self, path: Path, sweep: str = "tiny", run: str = RUN) -> None:
        self.path, self.sweep, self.run_id = path, sweep, run
        self.run = path / "runs" / run
        self.uri = default_uri(path)
        arm = {"formulation": "flow-factored", "unlabelled_clips": 8, "labelled_clips": 4}
        asked = {"arm": "two", "baseline": "one", "benchmark": "dynamic", "metrics": ["rra_15"]}
        plan = {
            **{"sweep": sweep, "question": "Which?", "profile": "smoke", "baseline": "one"},
            **{"headline": asked, "scaling": {"arm_prefix": "two"}},
            "arms": [{"arm": name, **arm, "yardstick": False} for name in ("one", "two")],
            "runs": [
                {"arm": name, "seed": 3, "run_id": run, "depends_on": []} for name in ("one", "two")
            ],
        }
        write_json(path / "reports" / sweep / "plan.json", plan)
        write_json(self.run / "spec.json", {"spec": SPEC})
        self.set_state("running")
        self.append(1, 2)

    def projection(self) -> SweepProjection:
        return SweepProjection(self.path, self.sweep)

    def sync(self) -> int:
        """What a new tracker does."""
        return self.projection().sync()

    def set_state(self, state: str, reason: str | None = None, **more: Any) -> None:
        moment = now()
        status = {"state": state, "reason": reason, "attempts": 1, "started": moment}
        status |= {"stage": "joint", "updated": moment, "finished": moment, "seconds": 2.5}
        write_json(self.run / "status.json", {**status, "host": "elsewhere", "pid": 1, **more})

    def append(self, *steps: int, file: str = "metrics.jsonl", **extra: Any) -> None:
        with open(self.run / file, "a", encoding="utf-8") as lines:
            for step in steps:
                record = {"step": step, "stage": "joint", "time": 10.0 + step}
                record["metrics"] = {"train/loss": 1 / step}
                lines.write(json.dumps({**record, **extra}) + "\n")

    def score(self, rra: float) -> None:
        summary = {"rra_15": rra, "flow_epe": None}
        benchmarks = {"static": {"summary": summary}}
        write_json(self.run / "evaluation.json", {"step": 9, "benchmarks": benchmarks})

    def finish(self) -> None:
        self.score(75.0)
        provenance = {
            "git_commit": "abc",
            "git_dirty": False,
            "data_fingerprints": {"labelled-0": "ff00", "source-0": "ff01"},
        }
        write_json(self.run / "provenance.json", {**provenance, "parameters": {"backbone": 12}})
        (self.run / "figures").mkdir(exist_ok=True)
        (self.run / "figures" / "flow.png").write_bytes(b"png")
        self.set_state("done")

    def write_report(self, mean: float = 60.0) -> None:
        report = self.path / "reports" / self.sweep
        cell = {"arm": "two", "benchmark": "dynamic", "metric": "rra_15", "mean": mean}
        cells = [cell, {**cell, "metric": "ate", "mean": None}]
        write_json(report / "results.json", {"arms": cells})
        words = "# Report\n\n**The answer.**\n\n![figure](a.png)\n\n- more"
        (report / "report.md").write_text(words)
        (report / "report.html").write_text("<!DOCTYPE html>")

    def shown(self) -> dict[str, Any]:
        """The run, see `contents`."""
        return self.contents()["runs"]["one/two seed 3"]

    def contents(self, uri: str | None = None) -> dict[str, Any]:
        """All that the sweep's experiment means: no ids, times of creation, places of files."""
        client = MlflowClient(uri or self.uri)
        experiment = client.get_experiment_by_name(self.sweep)
        runs = client.search_runs([experiment.experiment_id])
        shown = {run.info.run_name: _run(client, run) for run in runs}
        assert len(shown) == len(runs), "a run is there twice"
        return {"experiment": experiment.tags, "runs": shown}


def _run(client: MlflowClient, run: Run) -> dict[str, Any]:
    identity = run.info.run_id
    return {
        "status": run.info.status,
        "end": run.info.end_time,
        "params": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if k != CURSOR_TAG},
        "points": {
            key: [(p.step, p.value) for p in client.get_metric_history(identity, key)]
            for key in run.data.metrics
        },
        "inputs": sorted(
            (found.dataset.name, found.dataset.digest, [tag.value for tag in found.tags])
            for found in run.inputs.dataset_inputs
        ),
        "artifacts": sorted(_files(client, identity)),
    }


def _files(client: MlflowClient, identity: str, folder: str | None = None) -> list[str]:
    found = client.list_artifacts(identity, folder)
    below = [name for f in found if f.is_dir for name in _files(client, identity, f.path)]
    return [f.path for f in found if not f.is_dir] + below


@pytest.fixture
def folder(tmp_path: Path, migrated_store: Path) -> SweepFolder:
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    return SweepFolder(tmp_path)


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., SweepFolder]:
    """Makes folders without a store: arguments as for `SweepFolder`, the path below this test's."""

    def make(name: str = ".", **arguments: str) -> SweepFolder:
        return SweepFolder(tmp_path / name, **arguments)

    return make
