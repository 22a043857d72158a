"""Estimates of what runs cost, and the places they take."""

from __future__ import annotations

import pytest

from flow3r.errors import ConfigError
from flow3r.files import write_json
from sweeps.executors.resources import local_slots, visible_gpus
from sweeps.jobs import Job
from sweeps.timekeeping.cost import ESTIMATE, MEASURED, UNKNOWN, CostModel, in_words


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


def test_what_comes_with_the_code_is_only_copied(tmp_path):
    costs = CostModel({"pretrain": 500.0}, shipped={"pre"})
    asked = costs.of(job(tmp_path, "pre", kind="pretrain"))
    assert asked.source == "comes with the code"
    assert asked.seconds < 10.0
    assert costs.of(job(tmp_path, "other", kind="pretrain")).seconds == 500.0


def test_finished_directories_teach(tmp_path):
    done = job(tmp_path / "runs", "a")
    set_status(done, "done", seconds=12.0)
    write_json(done.directory / "spec.json", {"kind": "run", "spec": done.spec})
    costs = CostModel({})
    costs.learn_from(tmp_path)
    assert costs.of(job(tmp_path, "b", seed=4)).seconds == 12.0


def test_the_profile_s_estimate_is_corrected_by_what_this_sweep_has_finished(tmp_path):
    costs = CostModel({"run": 100.0, "pretrain": 60.0, "chance": 10.0})
    costs.add("run", job(tmp_path, "z").spec, 5.0)  # of another sweep: tells nothing of estimates
    stage = job(tmp_path, "pre", kind="pretrain", of="this")
    set_status(stage, "done", seconds=20.0)
    costs.learn_job(stage, at_least=30.0)
    other = job(tmp_path, "a", formulation={"name": "plain"})
    assert costs.of(other).seconds == 50.0
    assert costs.of(job(tmp_path, "c", kind="chance")).source == ESTIMATE
    run = job(tmp_path, "b", formulation={"name": "tracking"})
    set_status(run, "done", seconds=80.0)
    costs.learn_job(run)
    assert costs.of(other).seconds == 80.0  # runs tell more of runs
    assert costs.of(job(tmp_path, "c", kind="chance")).seconds == pytest.approx(10 * 110 / 160)
    set_status(run, "failed", seconds=80.0)
    costs.learn_job(run, at_least=1e6)
    assert costs.of(other).seconds == 80.0


def test_a_run_that_took_training_over_tells_nothing_of_what_runs_cost(tmp_path):
    run = job(tmp_path / "runs", "a")
    set_status(run, "done", seconds=2.0)
    write_json(run.directory / "spec.json", {"kind": "run", "spec": run.spec})
    write_json(run.directory / "provenance.json", {"trained_by": {"run": "b"}})
    costs = CostModel({"run": 100.0})
    costs.learn_from(tmp_path)
    costs.learn_job(run)
    assert costs.of(job(tmp_path, "c", seed=4)).seconds == 100.0


def test_durations_in_words():
    assert in_words(None) == "unknown"
    assert in_words(45.2) == "45 s"
    assert in_words(480) == "8 min"
    assert in_words(7500) == "2 h 05 min"


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
