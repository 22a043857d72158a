"""A disk that becomes full while a run trains: nothing is lost, and it is said what happened."""

from __future__ import annotations

import shutil
import time

import pytest

from experiments.rundir import read_status
from flow3r.training.checkpoint import load

STEPS = 62
SWEEP = {
    "question": "What becomes of the runs?",
    "seeds": [0],
    "baseline": "3d-sup",
    "headline": {
        "arm": "flow-factored",
        "baseline": "3d-sup",
        "benchmark": "dynamic",
        "metrics": ["rra_15"],
    },
    "scaling": None,
    "arms": {
        "flow-factored": {"overrides": ["formulation=flow-factored"]},
        "3d-sup": {"overrides": ["formulation=3d-sup"]},
    },
}


@pytest.fixture
def disk(kit, tmp_path):
    """A folder with 32 MB and no more."""
    folder = tmp_path / "disk"
    try:
        with kit("disk").small_disk(folder, megabytes=32):
            yield folder
    except PermissionError as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")


@pytest.fixture
def words(kit):
    """Those of the command line that make small runs, without pretraining."""
    start = ("initialisation.kind=random", "initialisation.pretrain=null")
    return (*kit("checkout").SMALL, *start, f"steps.joint={STEPS - 2}")


@pytest.fixture
def sweep(checkout, words, tmp_path):
    """A function: output folder -> exit code of the front door and what it said.

    `meanwhile` is called again and again while it runs.
    """
    checkout.add_sweep("two", SWEEP)
    options = ("sweep=two", "slots=1", "tracking=false", "report=false")

    def run(output, meanwhile=lambda: None):
        said = tmp_path / "said"
        said.unlink(missing_ok=True)
        process = checkout.start(said, *options, *words, f"output_dir={output}")
        while process.poll() is None:
            meanwhile()
            time.sleep(0.02)
        return process.returncode, said.read_text()

    return run


def training(output):
    """The directory of a run that has done some of its steps in this attempt."""
    for run in output.glob("runs/*"):
        status = read_status(run)
        if status and status["state"] == "running" and 3 < status["step"] < STEPS // 2:
            return run
    return None


class WhenTraining:
    """Fills the disk from the moment on that a run has got going."""

    def __init__(self, filler, output, leave):
        self.run, self._filler, self._output, self._leave = None, filler, output, leave

    def __call__(self):
        self.run = self.run or training(self._output)
        if self.run:
            self._filler.take(self._leave)


@pytest.mark.slow
def test_a_full_disk_loses_nothing(kit, checkout, sweep, words, disk, tmp_path):
    evidence, filler = kit("evidence"), kit("disk").Filler(disk)
    output = disk / "outputs"

    no_checkpoint = WhenTraining(filler, output, leave=200_000)
    code, said = sweep(output, meanwhile=no_checkpoint)
    run = no_checkpoint.run
    assert code == 1, said
    assert f"No space left on device: '{run / 'checkpoint' / 'last.pt'}'" in said
    assert "Traceback" not in said
    first = load(run / "checkpoint" / "last.pt").step
    assert 0 < first < STEPS
    filler.give_back()

    nothing = WhenTraining(filler, output, leave=0)
    code, said = sweep(output, meanwhile=nothing)
    assert code == 1, said
    assert "No space left on device" in said
    assert str(nothing.run) in said
    assert "Traceback" not in said
    second = load(nothing.run / "checkpoint" / "last.pt").step
    code, said = sweep(output)
    assert code == 2
    assert f"error: output_dir={output} cannot be written (No space left on device)" in said
    filler.give_back()

    code, said = sweep(output)
    assert code == 0, said
    assert evidence.step_logs(output)[nothing.run.name][-1][0] == second + 1
    calm = tmp_path / "calm"
    shutil.copytree(output / "stages", calm / "stages")
    for arm in SWEEP["arms"]:
        checkout.train(*words, f"formulation={arm}", "seed=0", f"output_dir={calm}")
    assert evidence.records(output) == evidence.records(calm)


@pytest.mark.slow
def test_a_data_set_larger_than_the_disk_is_refused_by_name(kit, sweep, disk):
    output = disk / "outputs"
    output.mkdir()
    kit("disk").Filler(disk).take(leave=300_000)
    code, said = sweep(output)
    assert code == 1
    assert f"No space left on device: '{output / 'stages' / 'dataset-'}" in said
    assert "SIGBUS" not in said
