"""One arm crashes, one goes NaN, one wants too much memory, one hangs: the others finish."""

from __future__ import annotations

import resource

import pytest

from experiments.rundir import read_status
from flow3r.files import read_json

# Fine until a few steps are done.
FORMULATION = """
import time
from dataclasses import dataclass

import torch
from torch import nn

from flow3r.formulations.base import Formulation
from flow3r.formulations.registry import register
from flow3r.model.outputs import Flow


@dataclass(frozen=True)
class Nothing:
    pass


@register(Nothing)
class {name}(Formulation):
    name = "{name}"
    supervises_unlabelled = True

    def __init__(self, options, sizes):
        super().__init__()
        self.shift, self.calls = nn.Parameter(torch.zeros(2)), 0

    def forward(self, latents, geometry, pairs, intrinsics):
        self.calls += 1
        if self.calls > 4:
            {misbehave}
        batch, _, height, width, _ = geometry.local_points.shape
        target_px = torch.zeros(batch, pairs.shape[-2], height, width, 2) + self.shift
        return Flow(target_px, torch.ones_like(target_px[..., 0], dtype=torch.bool))
"""
BAD = {
    "crashing": 'raise ZeroDivisionError("this formulation divides by zero")',
    "diverging": "self.shift = nn.Parameter(torch.full((2,), torch.nan))",
    "hoarding": "self.hoard = [torch.empty(2**28) for _ in range(100)]",  # a GiB each
    "hanging": "time.sleep(3600)",
}
FAILURES = {
    "crashing": ("exit", "ZeroDivisionError: this formulation divides by zero"),
    "diverging": ("non-finite", "the loss became non-finite"),
    "hoarding": ("out-of-memory", "allocate memory"),
    "hanging": ("stalled", "no sign of life for 20 s"),
}
ADDRESS_SPACE = 16 << 30  # bytes of each process
SWEEP = {
    "question": "What becomes of the good ones?",
    "seeds": [0],
    "baseline": "3d-sup",
    "headline": {
        "arm": "crashing",
        "baseline": "3d-sup",
        "benchmark": "dynamic",
        "metrics": ["rra_15"],
    },
    "scaling": None,
    "arms": {name: {"overrides": [f"formulation={name}"]} for name in ("3d-sup", *BAD)},
}


@pytest.fixture
def sweep(kit, checkout, tmp_path):
    """A function: options -> exit code of the front door, and what it said."""
    checkout.add_sweep("bad", SWEEP)
    start = ("initialisation.kind=random", "initialisation.pretrain=null")
    words = (
        "sweep=bad",
        "slots=2",
        "tracking=false",
        "report=false",
        *kit("checkout").SMALL,
        *start,
    )

    def run(*options):
        said = tmp_path / "said"
        said.unlink(missing_ok=True)
        process = checkout.start(
            said,
            *words,
            *options,
            f"output_dir={tmp_path / 'outputs'}",
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE,) * 2),
        )
        return process.wait(), said.read_text()

    return run


def add_formulations(checkout, bad):
    for name, misbehaviour in bad.items():
        code = FORMULATION.format(name=name, misbehave=misbehaviour)
        checkout.add_formulation(name, code)


def statuses(output):
    """By arm and seed."""
    plan = read_json(output / "reports" / "bad" / "plan.json")
    runs = [(run["arm"], run["seed"], output / "runs" / run["run_id"]) for run in plan["runs"]]
    return {(arm, seed): read_status(directory) for arm, seed, directory in runs}


@pytest.mark.slow
def test_bad_runs_fail_by_name_and_are_the_only_ones_tried_again(checkout, sweep, tmp_path):
    add_formulations(checkout, BAD)
    code, said = sweep("stall=20", "retries=0")
    first = statuses(tmp_path / "outputs")
    assert code == 1, said
    assert first["3d-sup", 0]["state"] == "done"
    for name, (failure, reason) in FAILURES.items():
        status = first[name, 0]
        assert (status["state"], status["failure"]) == ("failed", failure), status
        assert reason in status["reason"]
        (line,) = [words for words in said.splitlines() if words.startswith(f"failed: {name}")]
        assert reason in line

    # Somebody mends the code, which the identity of a run does not depend on.
    add_formulations(checkout, dict.fromkeys(BAD, "pass"))
    code, said = sweep("retry=failed", "seeds=[0,1]")
    second = statuses(tmp_path / "outputs")
    assert second["3d-sup", 0] == first["3d-sup", 0]
    for name, (failure, _) in FAILURES.items():
        assert (second[name, 0]["state"], second[name, 0]["attempts"]) == ("done", 2), said
        assert [attempt["failure"] for attempt in second[name, 0]["history"]] == [failure]
    assert {arm for arm, seed in second if seed == 1} == {"3d-sup", *BAD}
    assert all(status is None for (_, seed), status in second.items() if seed == 1)
