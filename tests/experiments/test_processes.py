"""Runs of several processes as a user starts them: records, resuming, failures."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from experiments.exit_codes import INTERRUPTED
from experiments.processes import Founder, Team, assemble
from experiments.rundir import RunDirectory, read_metrics
from flow3r.data.mixing import BatchConfig
from flow3r.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN = str(REPOSITORY / "experiments" / "train.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
LONG = ["steps.joint=100000", "steps.validation_every=100000", "runtime.checkpoint_seconds=0.5"]


def content(**runtime) -> dict:
    batch = {"replay": 2, "labelled": 2, "flexible": 2, "accumulate": 2}
    return {"runtime": {"device": "cpu", **runtime}, "spec": {"batch": batch}}


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "runs" / "abc")


def test_one_process_is_the_default_also_for_older_runs(directory):
    team = assemble(directory, content())
    assert type(team) is Team
    assert team.size == 1
    assert team.first(lambda: 75) == team.leave(75) == 75


def test_several_are_started_when_training_begins(directory):
    team = assemble(directory, content(processes=3, parallel="fsdp"))
    assert isinstance(team, Founder)
    assert (team.rank, team.size) == (0, 3)
    assert team.first(lambda: 0) == 0
    assert team.leave(0) == 0


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        ({"processes": 0}, "runtime.processes=0 must be at least 1"),
        ({"processes": "two"}, "runtime.processes='two'"),
        ({"processes": 2, "parallel": "zero"}, r"runtime.parallel='zero'.*'ddp', 'fsdp'"),
        ({"processes": 4}, r"3 clips of a backward pass.*4 processes.*at most 3"),
    ],
)
def test_what_cannot_train_is_refused_before_any_work(runtime, message, directory):
    with pytest.raises(ConfigError, match=message):
        assemble(directory, content(**runtime))


def test_every_process_needs_a_gpu_of_its_own(directory, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"2 processes on this machine.*torch sees 1"):
        assemble(directory, content(device="cuda", processes=2))


def test_a_batch_says_how_many_processes_it_is_enough_for():
    BatchConfig(2, 2, 2).check_processes(6)
    with pytest.raises(ConfigError, match="7 processes"):
        BatchConfig(2, 2, 2).check_processes(7)


def command(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=240, env=environment()
    )


def only_run(output: Path) -> Path:
    [path] = (output / "runs").iterdir()
    return path


def status(output: Path) -> dict:
    return json.loads((only_run(output) / "status.json").read_text())


def prepared(output: Path, *overrides: str) -> Path:
    """The spec of a run that has not begun."""
    from experiments.compose import compose
    from experiments.identity import run_id

    composed = compose([*overrides, f"output_dir={output}"])
    path = output / "runs" / run_id(composed.spec)
    RunDirectory.create(path, "run", path.name, composed.spec, composed.runtime)
    return path / "spec.json"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["own", "torchrun", "fsdp"])
def test_two_processes_leave_the_record_of_one(how, trained, output, small_overrides):
    spec = prepared(
        output,
        *small_overrides,
        f"runtime.processes={1 if how == 'torchrun' else 2}",
        f"runtime.parallel={'fsdp' if how == 'fsdp' else 'ddp'}",
    )
    launcher = TORCHRUN if how == "torchrun" else []
    result = run(*launcher, TRAIN, f"spec={spec}")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("run directory:") == 1
    path, single = only_run(output), only_run(trained)
    assert path.name == single.name  # the number of processes is no part of a run's identity
    assert status(output)["state"] == "done"
    provenance = json.loads((path / "provenance.json").read_text())
    assert provenance["processes"] == 2
    assert provenance["parallel"] == ("fsdp" if how == "fsdp" else "ddp")
    lines, expected = list(read_metrics(path)), list(read_metrics(single))
    assert [line["step"] for line in lines] == [line["step"] for line in expected]
    for line, other in zip(lines, expected):
        assert line["metrics"].keys() == other["metrics"].keys()
        if "train/loss" in line["metrics"]:
            loss = other["metrics"]["train/loss"]
            assert line["metrics"]["train/loss"] == pytest.approx(loss, rel=1e-5)
    scores = json.loads((path / "evaluation.json").read_text())["benchmarks"]
    assert set(scores) == {"static", "dynamic"}
    weights, others = (torch.load(run / "checkpoint" / "weights.pt") for run in (path, single))
    assert {n: v.shape for n, v in weights.items()} == {n: v.shape for n, v in others.items()}


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def start(output: Path, *overrides: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    spec = prepared(output, *overrides)
    return subprocess.Popen(
        command(*launcher, TRAIN, f"spec={spec}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def checkpoint(output: Path) -> Path:
    return only_run(output) / "checkpoint" / "last.pt"


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_stopped_runs_go_on_with_another_number_of_processes(strategy, output, small_overrides):
    overrides = [*small_overrides, *LONG, f"runtime.parallel={strategy}"]
    process = start(output, *overrides, "runtime.processes=2")
    try:
        wait_for(lambda: checkpoint(output).exists(), process)
        process.send_signal(signal.SIGTERM)  # the first process hears of it, both stop
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == INTERRUPTED, errors
    assert status(output)["state"] == "interrupted"
    stopped = torch.load(checkpoint(output))
    assert stopped["step"] > 0
    process = start(output, *overrides, "runtime.processes=1")
    try:
        wait_for(lambda: torch.load(checkpoint(output))["step"] > stopped["step"], process)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == INTERRUPTED, errors
    assert json.loads((only_run(output) / "provenance.json").read_text())["processes"] == 1


BROKEN = """
import os, runpy, sys
sys.path.insert(0, {repository!r})
from flow3r.training.batches import BatchLoader
load = BatchLoader.step
def step(self, number):
    if os.environ["RANK"] == "1" and number == 3:
        raise ValueError("a broken clip")
    return load(self, number)
BatchLoader.step = step
sys.argv[0] = {train!r}
runpy.run_path({train!r}, run_name="__main__")
"""


@pytest.mark.slow
def test_a_failing_process_ends_all_with_its_reason(output, small_overrides, tmp_path):
    spec = prepared(output, *small_overrides)
    script = tmp_path / "broken.py"
    script.write_text(BROKEN.format(repository=str(REPOSITORY), train=TRAIN))
    result = run(*TORCHRUN, str(script), f"spec={spec}")
    assert result.returncode != 0
    assert status(output)["state"] == "failed"
    assert status(output)["reason"] == "process 1 of 2: ValueError: a broken clip"
    assert "process 0 ends because of process 1: ValueError: a broken clip" in result.stderr


@pytest.mark.slow
def test_a_killed_process_ends_all_with_its_reason(output, small_overrides):
    process = start(output, *small_overrides, *LONG, "runtime.processes=2")
    try:
        wait_for(lambda: checkpoint(output).exists(), process)
        [other] = psutil.Process(process.pid).children()
        other.kill()
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1, errors
    assert status(output)["state"] == "failed"
    assert status(output)["reason"] == "process 1 of 2: ended with exit code -9"


@pytest.mark.slow
def test_when_the_first_process_is_killed_the_others_end(output, small_overrides):
    process = start(output, *small_overrides, *LONG, "runtime.processes=2")
    try:
        wait_for(lambda: checkpoint(output).exists(), process)
        [other] = psutil.Process(process.pid).children()
        process.kill()
        process.communicate(timeout=60)
        assert other.wait(timeout=60) is None or not other.is_running()
    finally:
        process.kill()
