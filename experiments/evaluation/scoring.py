"""Scores from files: the sequences of a benchmark shared out to processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from experiments.evaluation.plan import Evaluation
from experiments.evaluation.sequences import Listed
from experiments.threads import limit_threads
from flow3r.evaluation.prediction_files import read_prediction
from flow3r.evaluation.protocols.loading import protocol_frames, scene_truth
from flow3r.evaluation.protocols.score import score_scene

_LOOK_SECONDS = 1.0


class Scorer:
    """Scores sequences against predictions in a folder."""

    def __init__(self, spec: dict[str, Any], folder: Path, threads: int) -> None:
        self.evaluation = Evaluation.parse(spec)
        self.folder = folder
        self.threads = threads

    def __call__(self, listed: Listed) -> dict[str, Any]:
        """The record of one sequence. Raises DataError for predictions of other frames."""
        protocol = self.evaluation.protocol
        scene = self.evaluation.dataset.scene(listed.scene)
        prediction = read_prediction(self.folder, listed.scene, listed.frames)
        truth = scene_truth(protocol, scene, protocol_frames(protocol, scene))
        return score_scene(protocol, truth, prediction, self.threads)


def score_sequences(
    spec: dict[str, Any],
    listed: list[Listed],
    folder: Path,
    processes: int,
    cores: int,
    stop: Callable[[], bool],
    on_scored: Callable[[int, int], None],
) -> list[dict[str, Any]] | None:
    """The records in the order of `listed`, whatever the number of processes; None when stopped."""
    threads = max(1, cores // processes)
    on_scored(0, len(listed))
    if processes == 1:
        records = _one_by_one(Scorer(spec, folder, threads), listed, stop, on_scored)
    else:
        records = _shared_out(spec, listed, folder, processes, threads, stop, on_scored)
    return None if len(records) < len(listed) else [records[one.scene] for one in listed]


def _one_by_one(
    score: Scorer,
    listed: list[Listed],
    stop: Callable[[], bool],
    on_scored: Callable[[int, int], None],
) -> dict[str, dict[str, Any]]:
    records = {}
    for one in listed:
        if stop():
            break
        records[one.scene] = score(one)
        on_scored(len(records), len(listed))
    return records


def _shared_out(
    spec: dict[str, Any],
    listed: list[Listed],
    folder: Path,
    processes: int,
    threads: int,
    stop: Callable[[], bool],
    on_scored: Callable[[int, int], None],
) -> dict[str, dict[str, Any]]:
    # Longest first, so that no process ends with a long one while the others are idle.
    order = sorted(listed, key=len, reverse=True)
    context = multiprocessing.get_context("spawn")  # forking a process with torch threads may hang
    with ProcessPoolExecutor(
        processes, context, initializer=_begin, initargs=(spec, folder, threads)
    ) as pool:
        futures = {pool.submit(_score, one): one for one in order}
        try:
            return _collect(futures, stop, on_scored)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _collect(
    futures: dict[Future, Listed], stop: Callable[[], bool], on_scored: Callable[[int, int], None]
) -> dict[str, dict[str, Any]]:
    records: dict[str, dict[str, Any]] = {}
    waiting: Iterable[Future] = set(futures)
    while waiting and not stop():
        done, waiting = wait(waiting, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            records[futures[future].scene] = future.result()
            on_scored(len(records), len(futures))
    return records


_scorer: Scorer | None = None


def _begin(spec: dict[str, Any], folder: Path, threads: int) -> None:
    """Of a process that scores."""
    global _scorer
    limit_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _scorer = Scorer(spec, folder, threads)


def _end_with_parent() -> None:
    """A parent that is killed cannot tell its children."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _score(listed: Listed) -> dict[str, Any]:
    return _scorer(listed)
