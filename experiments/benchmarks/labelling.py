"""What labelling costs beside the calls of OpenCV that compute the flow."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from experiments.benchmarks.footage import manifest_of
from experiments.benchmarks.measure import rounded, say, surroundings
from experiments.benchmarks.settings import Settings
from flow3r.data import pseudo_labels
from flow3r.data.pseudo_labels import ClipMaker, ClipStores, LabelSettings
from flow3r.data.store import StoreLayout
from flow3r.data.video_clips import VideoClips, write_video_clips
from flow3r.teachers.dis import DisConfig, DisTeacher
from flow3r.teachers.opencv import require_opencv

FLOW_CALLS = ("DISOpticalFlow_create", "VariationalRefinement_create", "remap")
CLIPS = 6
"""Labelled, stored and read back in a round."""


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """CPU time of a clip: the flow calls; decoding; all else (labels, store, reading back).

    `ratio` is that of the whole to the flow calls, without decoding and with it.
    """
    with tempfile.TemporaryDirectory() as folder:
        manifest = manifest_of(settings, Path(folder))
        rows = [int(i) for i in np.linspace(0, len(manifest) - 1, CLIPS)]
        clips = [manifest.clip(row) for row in rows]
        rounds = []
        for number in range(settings.repeats + 1):
            # Settings that differ by nothing that matters: labels of their own in the same store.
            config = DisConfig(absolute_tolerance=0.5 + 1e-9 * number)
            rounds.append(_round(settings, clips, Path(folder), DisTeacher(config)))
            say(f"labelling: round {number}/{settings.repeats}")
    rounds = rounds[1:]  # the first one warms up
    calls = [r["calls"] for r in rounds]
    for variant, parts in [
        ("OpenCV flow calls", ("calls",)),
        ("labelled, stored and read", ("calls", "around")),
        ("the same, with decoding", ("calls", "around", "decoding")),
    ]:
        seconds = [sum(r[part] for part in parts) for r in rounds]
        ratios = [s / c for s, c in zip(seconds, calls)]
        reference = None if parts == ("calls",) else "OpenCV flow calls"
        yield {
            "case": "labelling",
            "variant": variant,
            "reference": reference,
            "seconds": rounded(median(seconds)),
            "ratio": rounded(median(ratios)) if reference else None,
            "ratio_spread": [rounded(min(ratios)), rounded(max(ratios))] if reference else None,
            "peak_bytes": None,
            "clips": CLIPS,
            "label_bytes": rounds[0]["label_bytes"],
            "frame_bytes": rounds[0]["frame_bytes"],
            **surroundings(settings),
        }


def _round(
    settings: Settings, clips: list[Any], folder: Path, teacher: DisTeacher
) -> dict[str, float]:
    """CPU seconds of the parts of one clip, and bytes of one label and one clip's frames."""
    labels = LabelSettings(size=(settings.size, settings.size))
    with _timed_calls() as calls, _timed_decoding() as decoding:
        began = time.process_time()
        maker = ClipMaker(labels, teacher, ClipStores(folder / "store"))
        for clip in clips:
            maker.make(clip)
        keys = np.stack([maker.keys(clip) for clip in clips])
        pairs = tuple(map(tuple, labels.pairs(settings.frames).tolist()))
        layout = StoreLayout(settings.frames, *labels.size, pairs, labelled=False)
        names = [clip.name for clip in clips]
        write_video_clips(folder / "clips", layout, keys, names, maker.stores, {})
        VideoClips.open(folder / "clips", folder / "store").unlabelled(np.arange(len(clips)))
        whole = time.process_time() - began
    stores = maker.stores
    return {
        "calls": calls[0] / len(clips),
        "decoding": decoding[0] / len(clips),
        "around": (whole - calls[0] - decoding[0]) / len(clips),
        "label_bytes": round(stores.labels.payload_bytes() / len(stores.labels)),
        "frame_bytes": round(stores.frames.payload_bytes() / len(stores.frames)),
    }


@contextmanager
def _timed_decoding() -> Iterator[list[float]]:
    """CPU seconds in `clip_frames`, while the block runs."""
    spent, original = [0.0], pseudo_labels.clip_frames
    pseudo_labels.clip_frames = _timed(original, spent)
    try:
        yield spent
    finally:
        pseudo_labels.clip_frames = original


@contextmanager
def _timed_calls() -> Iterator[list[float]]:
    """CPU seconds in the calls of OpenCV that compute flow, while the block runs."""
    cv2, spent = require_opencv(), [0.0]
    sys.modules["cv2"] = _Watched(cv2, spent)
    try:
        yield spent
    finally:
        sys.modules["cv2"] = cv2


class _Watched:
    """OpenCV, with a clock on what computes flow."""

    def __init__(self, cv2: Any, spent: list[float]) -> None:
        self._cv2, self._spent = cv2, spent

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cv2, name)
        if name not in FLOW_CALLS:
            return found
        if name == "remap":
            return _timed(found, self._spent)
        return lambda *given: _WatchedMatcher(found(*given), self._spent)


class _WatchedMatcher:
    """A matcher with a clock on `calc`."""

    def __init__(self, matcher: Any, spent: list[float]) -> None:
        self._matcher, self.calc = matcher, _timed(matcher.calc, spent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._matcher, name)


def _timed(call: Callable, spent: list[float]) -> Callable:
    def run(*given: Any, **named: Any) -> Any:
        began = time.process_time()
        try:
            return call(*given, **named)
        finally:
            spent[0] += time.process_time() - began

    return run
