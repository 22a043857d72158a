"""Estimates of what runs cost, and the time left."""

from __future__ import annotations

import io

import pytest

from flow3r.errors import ConfigError
from flow3r.files import write_json
from sweeps.console import PlainConsole
from sweeps.cost import ESTIMATE, MEASURED, UNKNOWN, CostModel, in_words, makespan
from sweeps.executors.ledger import ACTIVE, DONE, Ledger, Outcome
from sweeps.executors.resources import Slot, local_slots, visible_gpus
from sweeps.jobs import Job
from sweeps.progress import estimate_remaining, take_snapshot


def job(folder, name, kind="run", needs=(), **spec):
    defaults = {"seed": 0, "formulation": {"name": "flow"}, "training": {"steps": 10}, "data": {}}
    return Job(name, kind, name, folder / name, (), needs, {**defaults, **spec})


def set_status(job, state, step=0, total=0, seconds=0.0):
    status = {"state": state, "step": step, "total_steps": total, "seconds": seconds}
    write_json(
        job.directory / "status.json", {**status, "stage": "joint", "train_seconds": seconds}
    )


def test_other_seeds_come_before_similar_runs_and_those_before_the_profile(tmp_path):
    costs = CostModel({"run": 100.0, "dataset_per_clip": 0.5})
    asked = job(tmp_path, "a", seed=5, data={"clips": 1})
    assert costs.of(asked).source == ESTIMATE
    for seconds in (10.0, 30.0, 20.0):
        costs.add("run", {**asked.spec, "seed": 1, "data": {"clips": 9}}, seconds)
    assert costs.of(asked) == costs.of(job(tmp_path, "b"))
    assert (costs.of(asked).seconds, costs.of(asked).source) == (20.0, MEASURED)
    costs.add("run", {**asked.spec, "seed": 7}, 44.0)
    assert costs.of(asked).seconds == 44.0
    other = job(tmp_path, "c", formulation={"name": "plain"})
    assert (costs.of(other).seconds, costs.of(other).source) == (100.0, ESTIMATE)
    assert costs.of(job(tmp_path, "d", kind="dataset", count=8)).seconds == 4.0
    assert costs.of(job(tmp_path, "e", kind="video")).source == UNKNOWN


def test_finished_directories_teach(tmp_path):
    done = job(tmp_path / "runs", "a")
    set_status(done, "done", seconds=12.0)
    write_json(done.directory / "spec.json", {"kind": "run", "spec": done.spec})
    costs = CostModel({})
    costs.learn_from(tmp_path)
    assert costs.of(job(tmp_path, "b", seed=4)).seconds == 12.0


def test_the_time_left_counts_slots_progress_and_chains(tmp_path):
    costs = CostModel({"run": 100.0, "pretrain": 60.0})
    runs = [job(tmp_path, name) for name in ("a", "b", "c", "d")]
    assert estimate_remaining(runs, costs, slots=2) == 200.0
    set_status(runs[0], "running", step=5, total=10)
    assert estimate_remaining(runs, costs, slots=2) == 175.0
    stage = job(tmp_path, "pre", kind="pretrain")
    waiting = job(tmp_path, "e", needs=("pre",))
    assert estimate_remaining([stage, waiting], costs, slots=2) == 160.0
    assert estimate_remaining([stage, job(tmp_path, "v", kind="video")], costs, 2) is None
    assert makespan([10.0, 10.0, 90.0], slots=2) == 90.0


def test_durations_in_words():
    assert in_words(None) == "unknown"
    assert in_words(45.2) == "45 s"
    assert in_words(480) == "8 min"
    assert in_words(7500) == "2 h 05 min"


def test_the_summary_line(tmp_path):
    runs = [job(tmp_path, name) for name in ("a", "b", "c")]
    ledger = Ledger(runs[1:])  # the first was finished before
    ledger.settle("b", Outcome(DONE))
    ledger.mark("c", ACTIVE)
    set_status(runs[2], "running", step=2, total=8)
    snapshot = take_snapshot(runs, ledger, CostModel({"run": 800.0}), slots=2)
    assert snapshot.line(in_words) == "2/3 runs done, 1 running, 0 failed, ETA 10 min"
    assert snapshot.running[0].share == 0.25


def test_the_plain_console_says_what_starts_and_ends(tmp_path):
    output = io.StringIO()
    console = PlainConsole(lambda ledger: None, output)
    one = job(tmp_path, "a")
    console.started(one, Slot(1))
    console.ended(one, Outcome("failed", "loss became nan"))
    lines = [line.split("] ")[1] for line in output.getvalue().splitlines()]
    assert lines[0] == "start  a (a) on slot 1"
    assert lines[1].startswith("failed a (a) after 0 s: loss became nan")
    assert lines[2].strip() == f"log: {one.directory / 'log.txt'}"


@pytest.mark.parametrize(
    ("requested", "device", "gpus", "expected"),
    [
        (None, "auto", "", [None, None, None, None]),
        (2, "auto", "", [None, None]),
        (None, "auto", "0,1", ["0", "1"]),
        (3, "auto", "0,1", ["0", "1", "0"]),
        (None, "cpu", "0,1", [None, None, None, None]),
        (None, "cuda:1", "0,1", ["1"]),
    ],
)
def test_slots(monkeypatch, requested, device, gpus, expected):
    monkeypatch.setattr("sweeps.executors.resources.available_cores", lambda: 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    slots = local_slots(requested, device)
    assert [slot.gpu for slot in slots] == expected
    assert all(slot.threads == (1 if slot.gpu is None else 4 // len(slots)) for slot in slots)


@pytest.mark.parametrize(
    ("requested", "device", "gpus", "expected", "threads"),
    [
        (None, "auto", "", [None, None], 1),
        (None, "auto", "0,1,2,3", ["0,1", "2,3"], 1),
        (None, "auto", "0,1,2", ["0,1"], 2),
        (2, "auto", "0,1", ["0,1", "0,1"], 1),
    ],
)
def test_a_run_of_two_processes_takes_two_gpus(
    monkeypatch, requested, device, gpus, expected, threads
):
    monkeypatch.setattr("sweeps.executors.resources.available_cores", lambda: 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    slots = local_slots(requested, device, processes=2)
    assert [slot.gpu for slot in slots] == expected
    assert {slot.threads for slot in slots} == {threads}


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ConfigError, match=r"runtime\.processes=3.*there are 2"):
        local_slots(None, "auto", processes=3)


def test_gpus_hidden_from_us_are_not_used(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == []
