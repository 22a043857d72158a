"""Stage `chance`: the score of the best constant prediction on a test benchmark."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from experiments.assembly import open_dataset
from experiments.rundir import RunDirectory
from flow3r.data.clip import EvaluationClips
from flow3r.data.store import ClipStore
from flow3r.evaluation.chance import chance_scores
from flow3r.files import write_json


def work(directory: RunDirectory, content: dict, stop: Callable[[], bool]) -> bool:
    """Score the constants; they are drawn from the validation clips."""
    stores = {k: open_dataset(v, directory.output_dir) for k, v in content["spec"].items()}
    known = _whole(stores["validation"])
    scores = chance_scores(_whole(stores["test"]), known, on_progress=directory.alive)
    write_json(directory.path / "chance.json", scores)
    return True


def _whole(store: ClipStore) -> EvaluationClips:
    return store.evaluation(np.arange(len(store)), "chance")
