"""A stage killed after its last byte and before its last word."""

from experiments.compose import compose_run
from experiments.execute import execute, stage_directory
from experiments.exit_codes import DONE
from experiments.rundir import read_status
from experiments.stages import dataset_stage

WORDS = ["profile=smoke", "size.labelled_pool=2"]


def never():
    return False


def test_a_data_set_that_was_complete_when_its_process_was_killed_is_done(tmp_path):
    stage = dataset_stage(compose_run(WORDS)["data"]["labelled"])
    directory = stage_directory(stage, {"device": "cpu", "threads": 1}, tmp_path)
    assert execute(directory, never) == DONE
    files = {p: p.stat().st_mtime_ns for p in (directory.path / "clips").iterdir()}
    assert len(files) > 3

    directory.update(state="running", pid=2**22 + 1)  # no such process
    assert execute(directory, never) == DONE
    assert read_status(directory.path)["state"] == "done"
    assert read_status(directory.path)["attempts"] == 2
    assert {p: p.stat().st_mtime_ns for p in (directory.path / "clips").iterdir()} == files
