"""Which clips a source offers: read as a stream, a few seconds of thumbnails in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flow3r.data.video.config import IngestConfig
from flow3r.data.video.motion import motion_and_overlap
from flow3r.data.video.reasons import Tally
from flow3r.data.video.shots import Sight, with_cuts
from flow3r.errors import DataError
from flow3r.teachers.opencv import require_opencv

MAX_FRAMES_HELD = 2048


@dataclass(frozen=True)
class Choice:
    """A clip that moves and hangs together."""

    shot: int
    frames: tuple[Sight, ...]  # the clip's own frames and those between
    clip_positions: tuple[int, ...]
    motion: float
    overlap: float


def choose_clips(sights: Iterable[Sight], config: IngestConfig, tally: Tally) -> Iterator[Choice]:
    """The clips of a source, in order; what is left out is counted in `tally`.

    Clips begin every `spacing_seconds` from the beginning of each shot and lie within it.
    """
    shot: _Shot | None = None
    number, origin = -1, None
    for sight, begins in with_cuts(sights, config.cut_ratio, config.cut_content):
        origin = sight.seconds if origin is None else origin
        if begins or shot is None:
            if shot is not None:
                yield from shot.clips(complete=True)
            number += 1
            shot = _Shot(number, origin, config, tally)
        shot.add(sight)
        yield from shot.clips(complete=False)
    if shot is not None:
        yield from shot.clips(complete=True)


class _Shot:
    """The frames of one shot from the next possible clip on."""

    def __init__(self, number: int, origin: float, config: IngestConfig, tally: Tally) -> None:
        self.number, self.origin, self.config, self.tally = number, origin, config, tally
        self.frames: list[Sight] = []
        self.times: list[float] = []
        self.begin = math.nan
        self.looked_at = 0
        self.steps = 0  # the next clip begins this many spacings after the shot

    def add(self, sight: Sight) -> None:
        """Append a frame."""
        if not self.frames and math.isnan(self.begin):
            self.begin = sight.seconds
        self.frames.append(sight)
        self.times.append(sight.seconds)
        if len(self.frames) > MAX_FRAMES_HELD:
            raise DataError(f"frame rate too high (over {MAX_FRAMES_HELD} frames for one clip)")

    def clips(self, *, complete: bool) -> Iterator[Choice]:
        """The clips that can be decided on now; complete: no more frames will come."""
        while own := self._next(complete=complete):
            choice = self._judge(own)
            self.looked_at += 1
            self._advance(own[0])
            if choice is not None:
                yield choice
        if complete and not self.looked_at:
            length = self.times[-1] - self.begin
            detail = f"{length:.2f} s for clips of {self.config.clip_seconds:.2f} s"
            self.tally.add("too short", self.begin - self.origin, detail)

    def _next(self, *, complete: bool) -> list[int]:
        """Positions of the next clip's own frames; empty if frames are missing (yet)."""
        wanted = self.begin + self.steps * self.config.spacing_seconds
        own: list[int] = []
        for _ in range(self.config.frames):
            after = own[-1] + 1 if own else 0
            position = self._nearest(wanted, after, complete=complete)
            if position is None:
                return []
            own.append(position)
            wanted = self.times[position] + self.config.gap_seconds
        return own

    def _nearest(self, wanted: float, after: int, *, complete: bool) -> int | None:
        """The frame nearest to a time, at or after a position; None if a later one may be nearer.

        Half a gap beyond the last frame of a shot nothing counts as near.
        """
        following = after
        while following < len(self.times) and self.times[following] < wanted:
            following += 1
        if following == len(self.times):
            if not complete or following == after:
                return None
            end_is_near = wanted - self.times[-1] <= self.config.gap_seconds / 2
            return following - 1 if end_is_near else None
        if following == after:
            return following
        before = following - 1
        return before if wanted - self.times[before] < self.times[following] - wanted else following

    def _advance(self, start: int) -> None:
        """The next clip begins later; what lies before it is let go."""
        spacing = self.config.spacing_seconds
        self.steps += 1
        # Where frames are further apart than the spacing, the next clip begins with the next frame.
        passed = (self.times[start] + self.times[start + 1]) / 2 - self.begin
        self.steps = max(self.steps, math.ceil(passed / spacing - 1e-9))
        wanted = self.begin + self.steps * spacing
        keep = max(start + 1, int(np.searchsorted(self.times, wanted)) - 1)
        del self.frames[:keep], self.times[:keep]

    def _judge(self, own: list[int]) -> Choice | None:
        """The clip with these own frames, or None and a reason counted."""
        config = self.config
        since = self.times[own[0]] - self.origin
        intervals = np.diff(self.times[own[0] : own[-1] + 1])
        if intervals.max() > 2 * max(config.gap_seconds, float(np.median(intervals))):
            self.tally.add("hole in the time stamps", since, f"{intervals.max():.2f} s")
            return None
        grey = _grey([self.frames[i] for i in own])
        dark, plain = grey.mean((1, 2)).min() / 255, grey.std((1, 2)).min() / 255
        if dark < config.min_brightness:
            self.tally.add("black", since, f"brightness {dark:.3f}")
            return None
        if plain < config.min_contrast:
            self.tally.add("blank", since, f"contrast {plain:.3f}")
            return None
        motion, overlap = motion_and_overlap(grey, config.motion_quantile)
        if overlap < config.min_overlap:
            self.tally.add("motion too fast", since, f"overlap {overlap:.2f}")
            return None
        if motion < config.min_motion:
            self.tally.add("static", since, f"motion {motion:.4f}")
            return None
        positions = with_between(own, config.chain_steps)
        frames = tuple(self.frames[i] for i in positions)
        places = tuple(positions.index(i) for i in own)
        return Choice(self.number, frames, places, round(motion, 5), round(overlap, 4))


def _grey(frames: list[Sight]) -> NDArray[np.uint8]:  # [N, h, w]
    cv2 = require_opencv()
    return np.stack([cv2.cvtColor(f.thumbnail, cv2.COLOR_RGB2GRAY) for f in frames])


def with_between(own: list[int], steps: int) -> list[int]:
    """The clip's frame numbers and up to `steps` - 1 evenly spaced ones in every gap."""
    numbers = {own[-1]}
    for first, last in pairwise(own):
        numbers |= {int(n) for n in np.linspace(first, last, steps + 1).round()}
    return sorted(numbers)
