"""A real tuning, killed and started again, and the sweep that uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from experiments.rundir import read_status
from sweeps.jobs import REPOSITORY
from sweeps.tuning.journal import trials_of

# The front door, with two formulations: starting processes is what takes the time here.
_SWEEP = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.path.insert(0, {repository!r})
from dataclasses import replace
from experiments import compose
from sweeps import run
from sweeps.tuning import plan
tuning, sweep = plan.load_tuning, compose.load_sweep
both = ("3d-sup", "flow-factored")
def two_arms(name, profile):
    whole = sweep(name, profile)
    if name != "formulations":
        return whole
    return {{**whole, "arms": {{arm: whole["arms"][arm] for arm in both}}, "questions": []}}
plan.load_tuning = lambda profile: replace(tuning(profile), formulations=both)
compose.load_sweep = two_arms
sys.exit(run.main(sys.argv[1:]))
"""
_WORDS = (
    *("profile=smoke", "slots=2", "tracking=false"),
    *("size.source_clips=4", "size.labelled_pool=2", "size.unlabelled_pool=4"),
    *("size.validation_clips=2", "size.test_clips=2", "size.curve_clips=2"),
    *("size.unlabelled_clips=4", "size.labelled_clips=2", "size.more_labelled_clips=2"),
    *("steps.matching=2", "steps.geometry=2", "steps.head=2", "steps.joint=10"),
    "runtime.checkpoint_seconds=0.1",
)


def start(output_dir, *words):
    code = _SWEEP.format(repository=str(REPOSITORY))
    return subprocess.Popen(
        [sys.executable, "-c", code, *_WORDS, f"output_dir={output_dir}", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def kill_tree(process):
    tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in tree:
        member.kill()
    process.communicate()
    psutil.wait_procs(tree, timeout=10)


def one_run_paused(output_dir):
    found = [read_status(path) for path in (output_dir / "runs").glob("*")]
    return any(status and str(status["reason"]).startswith("paused") for status in found)


def chosen(output_dir):
    """All of tuned.yaml but the commit, which somebody at work here may change meanwhile."""
    lines = (output_dir / "tuning" / "smoke" / "tuned.yaml").read_text().splitlines()
    return [line for line in lines if not line.startswith("git_commit")]


def scores(output_dir):
    record = json.loads((output_dir / "reports" / "tuning" / "trials.json").read_text())
    return {
        name: [(t["run_ids"], t["rungs"], t["score"]) for t in found["trials"]]
        for name, found in record["formulations"].items()
    }


@pytest.mark.slow
def test_a_killed_tuning_chooses_the_same_and_is_used_by_the_next_sweep(tmp_path):
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    finish(start(calm, "sweep=tuning", "report=false"))
    process = start(killed, "sweep=tuning")
    while process.poll() is None and not one_run_paused(killed):
        time.sleep(0.02)
    assert process.poll() is None
    kill_tree(process)
    (killed / "tuning" / "smoke" / "journal.log").unlink(missing_ok=True)
    said = finish(start(killed, "sweep=tuning"))
    assert "Each trained 30 steps in all" in said
    assert chosen(killed) == chosen(calm)
    assert scores(killed) == scores(calm)
    for output_dir in (calm, killed):
        path = output_dir / "tuning" / "smoke" / "journal.log"
        studies = [line for line in path.read_text().splitlines() if '"study_name"' in line]
        names = {json.loads(line)["study_name"] for line in studies}
        assert {name.rpartition("-")[0] for name in names} == {"3d-sup", "flow-factored"}
        for name in names:
            states = [trial.state.name for trial in trials_of(path, name)]
            assert states.count("COMPLETE") + states.count("PRUNED") == len(states) == 3
    preview = finish(start(killed, "sweep=formulations", "tuned=true", "dry_run=true"))
    assert "sweep formulations-tuned" in preview
    assert "flow-factored-default" in preview


@pytest.mark.slow
def test_ctrl_c_stops_a_tuning_gently(tmp_path):
    process = start(tmp_path, "sweep=tuning")
    while process.poll() is None and not list((tmp_path / "stages").glob("*/status.json")):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "stopped; the same command continues" in output
    assert not (tmp_path / "tuning" / "smoke" / "tuned.yaml").exists()
