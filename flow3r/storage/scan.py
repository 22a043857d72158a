"""Walking through the records of a file, also past damage: on to the next magic that fits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from flow3r.storage.records import HEADER_BYTES, MAGIC, Header, parse

CHUNK = 1 << 20


@dataclass(frozen=True)
class Place:
    """A record and where it begins."""

    offset: int
    header: Header

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self.offset + HEADER_BYTES + self.header.length


@dataclass(frozen=True)
class Gap:
    """Bytes that are no record."""

    offset: int
    end: int


def walk(file: int, start: int, end: int, verify: bool) -> Iterator[Place | Gap]:
    """The records and gaps of an open file from `start` to `end`, in order.

    verify: read and check every payload. Otherwise only headers are read, and a payload is checked
    where the next header is not where it should be.
    """
    position = start
    while position < end:
        place = _place(file, position, end)
        doubtful = verify or (place is not None and not _leads_on(file, place, end))
        if place is not None and (not doubtful or intact(file, place)):
            yield place
            position = place.end
            continue
        resumed = _next_intact(file, position + 1, end)
        yield Gap(position, resumed)
        position = resumed


def intact(file: int, place: Place) -> bool:
    """Whether the record's checksum fits."""
    payload = os.pread(file, place.header.length, place.offset + HEADER_BYTES)
    return place.header.fits(payload)


def _place(file: int, offset: int, end: int) -> Place | None:
    header = parse(os.pread(file, HEADER_BYTES, offset))
    place = None if header is None else Place(offset, header)
    return place if place is not None and place.end <= end else None


def _leads_on(file: int, place: Place, end: int) -> bool:
    """Whether the file, or another record, begins where this one ends."""
    return place.end == end or os.pread(file, len(MAGIC), place.end) == MAGIC


def _next_intact(file: int, start: int, end: int) -> int:
    """The first offset from `start` on where an intact record begins; `end` if there is none."""
    position = start
    while position < end:
        chunk = os.pread(file, min(CHUNK, end - position), position)
        if not chunk:
            break
        at = chunk.find(MAGIC)
        while at >= 0:
            place = _place(file, position + at, end)
            if place is not None and intact(file, place):
                return place.offset
            at = chunk.find(MAGIC, at + 1)
        # A magic may lie across two chunks.
        position += max(1, len(chunk) - len(MAGIC) + 1)
    return end
