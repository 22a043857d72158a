"""One bucket of a store: a data file that grows at its end, its index, and a lock.

Readers take no lock: they see a record once its index entry is there, which is written after the
data. A writer holds the exclusive lock of the bucket, which the system releases when its process
dies; whoever holds it next puts right what the dead one left (`_settle`). Data and index carry the
same generation, which changes when the bucket is rewritten without damaged records.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from flow3r.files import write_atomically
from flow3r.storage.index import ENTRY, Lookup, make_entries, map_entries, sound
from flow3r.storage.records import (
    HEADER_BYTES,
    DamagedRecordError,
    Header,
    StoreError,
    pack,
    parse,
)
from flow3r.storage.scan import Gap, Place, walk

DATA_MAGIC, INDEX_MAGIC = b"F3RDATA\n", b"F3RINDX\n"
START = 16
"""Bytes of magic and generation before the first record and the first entry."""


@dataclass(frozen=True)
class Damage:
    """Bytes of a file that are not what was written."""

    path: Path
    offset: int
    end: int
    keys: tuple[bytes, ...]
    """Of the records that were there."""

    def __str__(self) -> str:
        names = ", ".join(key.hex() for key in self.keys) or "no record"
        return f"{self.path}: bytes {self.offset} to {self.end} are damaged ({names})"


class Bucket:
    """Opened when first used; a copy in another process opens the files itself."""

    def __init__(self, path: Path):
        """path: of the files, without their suffix."""
        self._file: int | None = None
        self.path = path
        self.data, self.index = path.with_suffix(".data"), path.with_suffix(".index")
        self._forget()

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__init__(state["path"])

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)

    def refresh(self) -> None:
        """Learn of records that were written since: `lookup` then has them."""
        try:
            there = os.stat(self.data)
        except FileNotFoundError:
            return
        if self._file is None or os.fstat(self._file).st_ino != there.st_ino:
            self._open()
        if self._walked:
            self.lookup = Lookup()  # the index may count other records than the walk
        self._walked = not self._grow_from_index()
        if self._walked:
            self._grow_by_walking()

    def get(self, key: bytes) -> bytes | None:
        """The payload, or None where there is none. Raises DamagedRecordError."""
        payload = self._read(key)
        if payload is None:  # new since the last look, or moved
            self.refresh()
            payload = self._read(key)
        if payload is None and self.lookup.find(key) is not None:
            raise DamagedRecordError(f"{self.data}: the record {key.hex()} is damaged")
        return payload

    def append(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        """Add the records whose keys are new; how many were."""
        with self._locked():
            end = self._settle()
            places: dict[bytes, Place] = {}
            for key, payload in records:
                if key not in places and self.lookup.find(key) is None:
                    packed, header = pack(key, payload)
                    _write(self.data, packed, end)
                    places[key] = Place(end, header)
                    end += len(packed)
            self._enter(list(places.values()))
        return len(places)

    def damage(self) -> list[Damage]:
        """What is not what was written, in the data and in the index."""
        if not self.data.exists():
            return []
        self._open()
        self.refresh()
        found = []
        if self._walked and self.index.exists():  # a missing one is made by the next writer
            found.append(Damage(self.index, 0, self.index.stat().st_size, ()))
        if os.pread(self._file, len(DATA_MAGIC), 0) != DATA_MAGIC:
            found.append(Damage(self.data, 0, START, ()))
        entries = self.lookup.entries
        for gap in walk(self._file, START, _end(self.lookup), verify=True):
            if isinstance(gap, Gap):
                rows = (entries["offset"] >= gap.offset) & (entries["offset"] < gap.end)
                keys = tuple(key.tobytes() for key in entries["key"][rows])
                found.append(Damage(self.data, gap.offset, gap.end, keys))
        return found

    def repair(self) -> None:
        """Rewrite the bucket with its intact records only."""
        with self._locked():
            self._settle()
            found = walk(self._file, START, os.fstat(self._file).st_size, verify=True)
            self._rewrite([p for p in found if isinstance(p, Place)])

    def flush(self) -> None:
        """Make sure that what was written outlives a power failure."""
        for path in (self.data, self.index):
            if path.exists():
                with open(path, "rb") as file:
                    os.fsync(file.fileno())

    def _forget(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file, self._generation = None, b""
        self._walked = False
        self.lookup = Lookup()

    def _open(self) -> None:
        self._forget()
        self._file = os.open(self.data, os.O_RDONLY)
        self._generation = os.pread(self._file, START, 0)[len(DATA_MAGIC) :]

    def _read(self, key: bytes) -> bytes | None:
        """The payload, or None where the record is unknown or other bytes are in its place."""
        number = self.lookup.find(key)
        if number is None:
            return None
        entry = self.lookup.entries[number]
        data = os.pread(self._file, HEADER_BYTES + int(entry["length"]), int(entry["offset"]))
        header, payload = parse(data), data[HEADER_BYTES:]
        expected = Header(key, int(entry["length"]), entry["digest"].tobytes())
        return payload if header == expected and header.fits(payload) else None

    def _grow_from_index(self) -> bool:
        """Take new entries of the index file; False where it does not fit the data."""
        try:
            with open(self.index, "rb") as file:
                start = file.read(START)
                count = (os.fstat(file.fileno()).st_size - START) // ENTRY.itemsize
                known = len(self.lookup)
                if start != INDEX_MAGIC + self._generation or count < known:
                    return False
                if count == known:
                    return True
                entries = map_entries(file, START, count)
        except FileNotFoundError:
            return False
        if not sound(entries[known:]) or _end_of(entries[-1]) > os.fstat(self._file).st_size:
            return False
        self.lookup.grow(entries)
        return True

    def _grow_by_walking(self) -> None:
        """Take new entries from the headers in the data themselves."""
        size = os.fstat(self._file).st_size
        found = walk(self._file, _end(self.lookup), size, verify=False)
        entries = make_entries(p for p in found if isinstance(p, Place))
        self.lookup.grow(np.concatenate([self.lookup.entries, entries]))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The exclusive right to write, given back even by a killed process."""
        path = self.path.with_suffix(".lock")
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"cannot lock {path}: {error}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _settle(self) -> int:
        """Put right what a killed writer left; the end of the last record. Needs the lock."""
        if not self.data.exists():
            self._rewrite([])
        self.refresh()
        if self._walked:
            self._write_index(self.lookup.entries)
            self.refresh()
        end, size = _end(self.lookup), os.fstat(self._file).st_size
        if size > end:
            found = walk(self._file, end, size, verify=True)
            kept = [p for p in found if isinstance(p, Place)]
            end = kept[-1].end if kept else end
            os.truncate(self.data, end)
            self._enter(kept)
        return end

    def _enter(self, places: list[Place]) -> None:
        """Add the entries of new records to the index."""
        if places:
            offset = START + ENTRY.itemsize * len(self.lookup)
            _write(self.index, make_entries(places).tobytes(), offset)
            self.refresh()

    def _rewrite(self, places: list[Place]) -> None:
        """Replace the data by these of its records, once each, and the index accordingly."""
        for left in self.path.parent.glob(f".{self.path.name}.*"):
            left.unlink()  # of a process that was killed here
        generation, kept = os.urandom(START - len(DATA_MAGIC)), []

        def write(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                file.write(DATA_MAGIC + generation)
                for place in {p.header.key: p for p in places}.values():
                    kept.append(Place(file.tell(), place.header))
                    file.write(os.pread(self._file, place.end - place.offset, place.offset))

        write_atomically(self.data, write)
        self._open()
        self._write_index(make_entries(kept))
        self.refresh()

    def _write_index(self, entries: np.ndarray) -> None:
        content = INDEX_MAGIC + self._generation + entries.tobytes()
        write_atomically(self.index, lambda temporary: temporary.write_bytes(content))


def _write(path: Path, data: bytes, offset: int) -> None:
    """Put bytes at the end of a file; StoreError where they do not fit on the disk."""
    try:
        with open(path, "r+b", buffering=0) as file:
            file.seek(offset)
            _write_all(file, data)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}") from None


def _write_all(file: BinaryIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _end(lookup: Lookup) -> int:
    """Where the next record goes."""
    return _end_of(lookup.entries[-1]) if len(lookup) else START


def _end_of(entry: np.void) -> int:
    return int(entry["offset"]) + HEADER_BYTES + int(entry["length"])
