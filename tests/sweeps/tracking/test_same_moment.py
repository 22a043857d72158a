"""Eight sweeps that start at the same moment in one output folder without a store."""

from __future__ import annotations

import multiprocessing

import pytest

SWEEPS = 8


def _track(folder, barrier, answers):
    barrier.wait()
    try:
        answers.put((folder.sweep, folder.sync()))
    except BaseException as error:
        answers.put((folder.sweep, repr(error)))


@pytest.mark.slow
def test_a_new_store_is_made_once_and_used_by_all(make_folder):
    folders = [make_folder(sweep=f"sweep-{i}", run=f"{i}".zfill(12)) for i in range(SWEEPS)]
    context = multiprocessing.get_context("fork")  # MLflow is imported: all begin at once
    barrier, answers = context.Barrier(SWEEPS), context.Queue()
    trackers = [
        context.Process(target=_track, args=(folder, barrier, answers)) for folder in folders
    ]
    for tracker in trackers:
        tracker.start()
    said = dict(answers.get(timeout=300) for _ in trackers)
    for tracker in trackers:
        tracker.join()
    assert said == {folder.sweep: 2 for folder in folders}
    for folder in folders:
        assert folder.shown()["points"] == {"train/loss": [(1, 1.0), (2, 0.5)]}
