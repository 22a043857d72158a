"""A planned tuning of the smoke profile, and run directories as its runs would leave them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flow3r.files import write_json, write_text
from sweeps.options import Options
from sweeps.tuning.plan import TuningPlan, plan_tuning


class Stand:
    """A tuning whose runs did what they are told."""

    def __init__(self, tuning: TuningPlan, output_dir: Path) -> None:
        self.tuning, self.output_dir = tuning, output_dir

    def run_of(self, formulation: str, number: int) -> Path:
        [run_id] = self.tuning.of(formulation)[number].run_ids
        return self.output_dir / "runs" / run_id

    def reach_rung(self, formulation: str, number: int, score: float) -> None:
        """The run paused at the rung, where its validation had this score."""
        self.reach_rung_of(self.run_of(formulation, number).name, score)

    def reach_rung_of(self, run_id: str, score: float) -> None:
        directory = self.output_dir / "runs" / run_id
        [step] = self.tuning.rungs
        self._status(directory, "interrupted", step, f"paused at step {step}")
        finite = score == score
        name = "validation/dynamic/auc_30"
        record = {"step": step, "stage": "joint", "time": 0.0}
        record["metrics"] = {name: score} if finite else {}
        if not finite:
            record["nonfinite"] = {name: "nan"}
        earlier = {**record, "metrics": {"train/loss": 1.0}}
        lines = [{**earlier, "step": step - 1}, earlier, record]
        write_text(directory / "metrics.jsonl", "".join(json.dumps(r) + "\n" for r in lines))

    def finish(self, formulation: str, number: int, score: float | None) -> None:
        """The run was evaluated with this score."""
        directory = self.run_of(formulation, number)
        self._status(directory, "done", self.tuning.total_steps)
        benchmarks = {"dynamic": {"summary": {"auc_30": score}}}
        write_json(directory / "evaluation.json", {"benchmarks": benchmarks})

    def fail(self, formulation: str, number: int, reason: str = "it broke") -> None:
        self._status(self.run_of(formulation, number), "failed", 3, reason)

    def all_reach_rung(self, scores: dict[int, float]) -> None:
        for formulation in self.tuning.config.formulations:
            for number, score in scores.items():
                self.reach_rung(formulation, number, score)

    def _status(self, directory: Path, state: str, step: int, reason: str | None = None) -> None:
        status = {"state": state, "reason": reason, "step": step, "attempts": 1}
        status |= {"train_seconds": 2.0 * step, "seconds": 3.0 * step}
        write_json(directory / "status.json", status)


@pytest.fixture(scope="session")
def planned() -> TuningPlan:
    """The tuning of the smoke profile: 3 candidates, one rung, of which 2 go on."""
    return plan_tuning(Options(sweep="tuning", profile="smoke"))


@pytest.fixture(scope="session")
def two_seeds() -> TuningPlan:
    """The same with two seeds."""
    return plan_tuning(Options(sweep="tuning", profile="smoke", seeds=(100, 101)))


@pytest.fixture
def stand(planned: TuningPlan, tmp_path: Path) -> Stand:
    return Stand(planned, tmp_path)
