"""Where the records of a bucket lie: a file of fixed-size entries, and a lookup table in memory.

The file is a copy of what the headers in the data say, so that opening a store of millions of
records reads one contiguous file per bucket instead of one page per record. It is made anew
whenever it does not fit the data.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flow3r.storage.records import DIGEST_BYTES, KEY_BYTES
from flow3r.storage.scan import Place

ENTRY = np.dtype(
    [
        ("key", "u1", KEY_BYTES),
        ("digest", "u1", DIGEST_BYTES),
        ("offset", "<u8"),
        ("length", "<u4"),
        ("check", "<u4"),
    ]
)
_WORDS = ENTRY.itemsize // 4 - 1
# Odd factors: a change of any one word changes the sum.
_FACTORS = np.random.default_rng(0).integers(0, 2**31, _WORDS, dtype=np.uint32) * 2 + 1
_START = np.uint32(0x9E3779B9)
RECENT = 1024
"""Entries that a lookup keeps in a dictionary before it sorts them in."""

Entries = NDArray[np.void]


def make_entries(places: Iterable[Place]) -> Entries:
    """Entries of records, with their check words."""
    found = [(p.header.key, p.header.digest, p.offset, p.header.length) for p in places]
    entries = np.zeros(len(found), ENTRY)
    if found:
        keys, digests, offsets, lengths = zip(*found)
        entries["key"] = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES)
        entries["digest"] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_BYTES)
        entries["offset"], entries["length"] = offsets, lengths
        entries["check"] = _check_words(entries)
    return entries


def sound(entries: Entries) -> bool:
    """Whether every entry is what was written."""
    return bool((_check_words(entries) == entries["check"]).all())


def map_entries(path: Path, start: int, count: int) -> Entries:
    """The first `count` entries of an index file that begin at byte `start`; shared memory."""
    if not count:
        return np.zeros(0, ENTRY)
    return np.asarray(np.memmap(path, ENTRY, "r", offset=start, shape=(count,)))


def _check_words(entries: Entries) -> NDArray[np.uint32]:
    words = np.ascontiguousarray(entries).view("<u4").reshape(-1, _WORDS + 1)[:, :_WORDS]
    return (words * _FACTORS).sum(axis=1, dtype=np.uint32) + _START


class Lookup:
    """Key -> number of its entry. 12 bytes a record; the newest entries are in a dictionary."""

    def __init__(self) -> None:
        self.entries = np.zeros(0, ENTRY)
        self._prefixes = np.zeros(0, np.uint64)  # sorted
        self._numbers = np.zeros(0, np.int32)  # of the entries, in the order of the prefixes
        self._recent: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def grow(self, entries: Entries) -> None:
        """Take `entries`, which begin with those known so far."""
        known = len(self.entries)
        self.entries = entries
        if len(entries) - len(self._numbers) > RECENT:
            prefixes = _prefixes(entries["key"])
            order = np.argsort(prefixes, kind="stable")
            self._prefixes, self._numbers = prefixes[order], order.astype(np.int32)
            self._recent = {}
            return
        for number in range(known, len(entries)):
            self._recent.setdefault(entries["key"][number].tobytes(), number)

    def find(self, key: bytes) -> int | None:
        """The number of the key's entry."""
        if key in self._recent:
            return self._recent[key]
        prefix = np.frombuffer(key, "<u8", 1)[0]
        place = int(np.searchsorted(self._prefixes, prefix))
        while place < len(self._prefixes) and self._prefixes[place] == prefix:
            number = int(self._numbers[place])
            if self.entries["key"][number].tobytes() == key:
                return number
            place += 1
        return None

    def find_many(self, keys: NDArray[np.uint8]) -> NDArray[np.int64]:
        """As `find` for keys [M, 32]; -1 where there is none."""
        found = np.full(len(keys), -1, np.int64)
        if len(self._prefixes):
            prefixes = _prefixes(keys)
            places = np.searchsorted(self._prefixes, prefixes).clip(max=len(self._prefixes) - 1)
            numbers = self._numbers[places]
            same = (self.entries["key"][numbers] == keys).all(axis=1)
            found[same] = numbers[same]
            for i in np.flatnonzero((self._prefixes[places] == prefixes) & ~same):
                found[i] = self._number(keys[i])
        if self._recent:
            for i in np.flatnonzero(found < 0):
                found[i] = self._number(keys[i])
        return found

    def _number(self, key: NDArray[np.uint8]) -> int:
        number = self.find(key.tobytes())
        return -1 if number is None else number


def _prefixes(keys: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(keys[:, :8]).view("<u8")[:, 0]
