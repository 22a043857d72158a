"""A real sweep, killed with -9 at several moments and started again, equals an undisturbed one."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import psutil
import pytest

from experiments.rundir import read_metrics, read_status
from sweeps.jobs import REPOSITORY

# The front door, with two of the sweep's arms: starting processes is what takes the time here.
_SWEEP = """
import sys
sys.path.insert(0, {repository!r})
from experiments import compose
from sweeps import run
whole = compose.load_sweep
def two_arms(name, profile):
    sweep = whole(name, profile)
    arms = {{a: sweep["arms"][a] for a in ("3d-sup", "flow-factored")}}
    return {{**sweep, "arms": arms, "questions": []}}
compose.load_sweep = two_arms
sys.exit(run.main(sys.argv[1:]))
"""
_WORDS = (
    *("sweep=formulations", "profile=smoke", "seeds=[0]", "slots=2", "tracking=false"),
    *("size.source_clips=4", "size.labelled_pool=2", "size.unlabelled_pool=4"),
    *("size.validation_clips=2", "size.test_clips=2", "size.curve_clips=2"),
    *("size.unlabelled_clips=4", "size.labelled_clips=2", "size.more_labelled_clips=2"),
    *("steps.matching=2", "steps.geometry=2", "steps.head=2", "steps.joint=20"),
    "runtime.checkpoint_seconds=0.1",
)


def start(output_dir):
    code = _SWEEP.format(repository=str(REPOSITORY))
    return subprocess.Popen(
        [sys.executable, "-c", code, *_WORDS, f"output_dir={output_dir}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_tree(process):
    tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in tree:
        member.kill()
    process.communicate()
    psutil.wait_procs(tree, timeout=10)


def statuses(output_dir, kind):
    found = [read_status(path) for path in (output_dir / kind).glob("*")]
    return [status for status in found if status]


def stage_at_work(output_dir):
    return any(s["state"] == "running" for s in statuses(output_dir, "stages"))


def run_half_trained(output_dir):
    return any(
        s["state"] == "running" and 3 < s["step"] < s["total_steps"]
        for s in statuses(output_dir, "runs")
    )


def one_run_done(output_dir):
    return any(s["state"] == "done" for s in statuses(output_dir, "runs"))


def records(output_dir):
    """Everything measured, by run, without times."""
    found = {}
    for directory in (output_dir / "runs").glob("*"):
        curve = [(r["step"], r["stage"], r["metrics"]) for r in read_metrics(directory)]
        evaluation = json.loads((directory / "evaluation.json").read_text())
        found[directory.name] = (curve, evaluation)
    return found


@pytest.mark.slow
def test_a_killed_and_restarted_sweep_equals_an_undisturbed_one(tmp_path):
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    undisturbed = start(calm)
    output, _ = undisturbed.communicate()
    assert undisturbed.returncode == 0, output
    kills = 0
    for moment in (stage_at_work, run_half_trained, one_run_done):
        process = start(killed)
        while process.poll() is None and not moment(killed):
            time.sleep(0.02)
        kills += process.poll() is None
        kill_tree(process) if process.poll() is None else process.communicate()
    assert kills >= 2  # the last moment may come too late on a quick machine
    restarted = start(killed)
    output, _ = restarted.communicate()
    assert restarted.returncode == 0, output
    assert all(s["state"] == "done" for s in statuses(killed, "runs"))
    assert records(killed) == records(calm)
    names = ["results.json", *(f"tables/{p.name}" for p in (tables(calm)).glob("[ds]*.csv"))]
    assert len(names) > 2
    for name in names:
        pair = [(d / "reports" / "formulations" / name).read_bytes() for d in (calm, killed)]
        assert pair[0] == pair[1], name


def tables(output_dir):
    return output_dir / "reports" / "formulations" / "tables"
