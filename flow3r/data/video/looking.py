"""Looking at one source: its clips, and why the rest gives none."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flow3r.data.video.choosing import Choice, choose_clips
from flow3r.data.video.config import IngestConfig
from flow3r.data.video.manifest import ManifestClip
from flow3r.data.video.reasons import Tally
from flow3r.data.video.seeking import frames_by_time
from flow3r.data.video.shots import Sight
from flow3r.data.video.sights import Beat, UntimedError, file_sights, sequence_sights, thumbnail
from flow3r.data.video.sources import Source
from flow3r.data.video.streams import opened
from flow3r.errors import DataError

EXACT_CONTAINERS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""They store a time stamp with every picture. Of their clips number 0, 4, 16, 64, ... are read by
seeking, as a test; of other files, where time stamps are partly guessed, all are."""


class _UntrustedError(Exception):
    """Seeking found another frame than reading on did, where none was expected to."""


@dataclass(frozen=True)
class Findings:
    """What a source offers; whatever its name and place."""

    clips: tuple[dict[str, Any], ...] = ()
    """Fields of `ManifestClip`, all but those of the source."""
    reasons: tuple[str, ...] = ()
    places: dict[str, int] = field(default_factory=dict)
    """Kind of reason -> number of places."""
    frames: int = 0
    seconds: float = 0.0

    def rows(self, source: Source, fingerprint: str) -> Iterator[ManifestClip]:
        """The clips as rows of a manifest."""
        lists = ("frame_numbers", "frame_seconds", "clip_positions")
        for clip in self.clips:
            values = {k: tuple(v) if k in lists else v for k, v in clip.items()}
            first = values["frame_numbers"][0]
            yield ManifestClip(
                name=f"{source.name}/{first:06d}",
                source=source.name,
                path=source.path,
                kind=source.kind,
                fingerprint=fingerprint,
                **values,
            )

    def packed(self) -> bytes:
        """Compressed JSON."""
        return zlib.compress(json.dumps(dataclasses.asdict(self), allow_nan=False).encode())

    @classmethod
    def unpacked(cls, data: bytes) -> Findings:
        """The inverse of `packed`."""
        values = json.loads(zlib.decompress(data))
        return cls(
            **{**values, "clips": tuple(values["clips"]), "reasons": tuple(values["reasons"])}
        )


def look(source: Source, config: IngestConfig, beat: Beat = lambda share: None) -> Findings:
    """Read a source once and choose its clips. What is wrong with it is a reason, no error."""
    try:
        if source.kind == "sequence":
            return _Look(source, config).sequence(beat)
        try:
            exact = _container(source.path) in EXACT_CONTAINERS
            return _Look(source, config, test_all=not exact).file(beat, by_time=True)
        except _UntrustedError:
            return _Look(source, config, test_all=True).file(beat, by_time=True)
        except UntimedError:
            return _Look(source, config).file(beat, by_time=False)
    except DataError as error:
        return Findings(reasons=(str(error).removeprefix(f"{source.path}: "),))


class _Look:
    """One pass over one source."""

    def __init__(self, source: Source, config: IngestConfig, *, test_all: bool = False) -> None:
        self.source, self.config, self.test_all = source, config, test_all
        self.tally = Tally()
        self.frames = 0
        self.first = self.last = 0.0

    def sequence(self, beat: Beat) -> Findings:
        sights = sequence_sights(self.source.path, self.config, self.tally, beat)
        return self._findings(sights, lambda number, choice: True)

    def file(self, beat: Beat, *, by_time: bool) -> Findings:
        sights = file_sights(self.source.path, self.config, self.tally, beat, by_time=by_time)
        return self._findings(sights, self._seekable if by_time else lambda number, choice: False)

    def _findings(
        self, sights: Iterator[Sight], seekable: Callable[[int, Choice], bool]
    ) -> Findings:
        choices = choose_clips(self._counted(sights), self.config, self.tally)
        clips = tuple(_fields(c, seekable(number, c)) for number, c in enumerate(choices))
        counts = dict(self.tally.counts)
        seconds = round(self.last - self.first, 3)
        return Findings(clips, tuple(self.tally.reasons()), counts, self.frames, seconds)

    def _counted(self, sights: Iterator[Sight]) -> Iterator[Sight]:
        for sight in sights:
            self.first = sight.seconds if not self.frames else self.first
            self.last = sight.seconds
            self.frames += 1
            yield sight

    def _seekable(self, number: int, choice: Choice) -> bool:
        """Whether seeking leads to the very frames of a clip, as far as that is tried."""
        if not self.test_all and not _tested(number):
            return True
        seconds = [frame.seconds for frame in choice.frames]
        try:
            found = frames_by_time(
                self.source.path, seconds, lambda f: thumbnail(f.picture, f.pixel_aspect)[0]
            )
        except DataError:
            found = []
        expected = [frame.thumbnail for frame in choice.frames]
        same = len(found) == len(expected) and all(map(np.array_equal, found, expected))
        if not same and not self.test_all:
            raise _UntrustedError(self.source.path)
        return same


def _tested(number: int) -> bool:
    return number == 0 or (number > 1 and number.bit_count() == 1 and number.bit_length() % 2 == 1)


def _container(path: Path) -> str:
    with opened(path) as (container, _):
        return container.format.name


def _fields(choice: Choice, by_time: bool) -> dict[str, Any]:
    first = choice.frames[0]
    return {
        "shot": choice.shot,
        "frame_numbers": [frame.number for frame in choice.frames],
        "frame_seconds": [frame.seconds for frame in choice.frames],
        "clip_positions": list(choice.clip_positions),
        "height": first.height,
        "width": first.width,
        "pixel_aspect": first.pixel_aspect,
        "motion": choice.motion,
        "overlap": choice.overlap,
        "by_time": by_time,
    }
