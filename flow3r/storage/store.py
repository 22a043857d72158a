"""A folder of records by key, filled and read by many processes at once.

Records are dealt to bucket files by their key, so that writers seldom wait for each other.
`store.json` says what the store is for and how it is laid out. A process may be killed at any
moment: what it had written stays, each record once. See `bucket.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flow3r.config import require
from flow3r.errors import DataError
from flow3r.files import read_json, write_json
from flow3r.storage.bucket import Bucket, Damage
from flow3r.storage.records import DIGEST_BYTES, KEY_BYTES, MissingRecordError

VERSION = 1
BUCKETS = 64
DESCRIPTION = "store.json"


class RecordStore:
    """Reads and writes; open files and tables are made in each process when they are needed."""

    def __init__(self, path: Path, buckets: int):
        self.path = path
        width = len(f"{buckets - 1:x}")
        self._buckets = [Bucket(path / f"{i:0{width}x}") for i in range(buckets)]

    @classmethod
    def open(cls, path: Path, kind: str) -> RecordStore:
        """An existing store; DataError if it is missing, for something else, or of a newer layout.

        kind: what the records are, as given when the store was made.
        """
        if not (path / DESCRIPTION).exists():
            raise DataError(f"no store at {path} ({DESCRIPTION} is missing)")
        found = read_json(path / DESCRIPTION)
        if found.get("version") != VERSION:
            raise DataError(
                f"{path} is a store of version {found.get('version')!r}; this code reads {VERSION}"
            )
        if found["kind"] != kind:
            raise DataError(f"{path} holds {found['kind']!r}, not {kind!r}; choose another folder")
        return cls(path, found["buckets"])

    @classmethod
    def create(cls, path: Path, kind: str, buckets: int = BUCKETS) -> RecordStore:
        """The store at `path`, made if there is none (then with so many buckets)."""
        require(1 <= buckets <= 4096, f"buckets={buckets} must lie in 1..4096")
        if not (path / DESCRIPTION).exists():
            _describe(path, {"version": VERSION, "kind": kind, "buckets": buckets})
        return cls.open(path, kind)

    def get(self, key: bytes) -> bytes:
        """The record; MissingRecordError or DamagedRecordError where it cannot be had."""
        payload = self._bucket(key).get(key)
        if payload is None:
            raise MissingRecordError(f"{self.path} has no record {key.hex()}")
        return payload

    def put(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        """Add (key, payload) records; those whose keys are there stay as they are.

        Keys are hashes (32 bytes) of what the payload is made from. Returns how many were new.
        """
        by_bucket: dict[int, list[tuple[bytes, bytes]]] = {}
        for key, payload in records:
            by_bucket.setdefault(self._number(key), []).append((key, payload))
        return sum(self._buckets[i].append(found) for i, found in sorted(by_bucket.items()))

    def has(self, keys: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether the store holds each of the keys [M, 32], at this moment."""
        found = np.zeros(len(keys), bool)
        for bucket, rows in self._by_bucket(keys):
            found[rows] = bucket.lookup.find_many(keys[rows]) >= 0
        return found

    def digests(self, keys: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The checksums [M, 16] of records; MissingRecordError if one is not there."""
        found = np.empty((len(keys), DIGEST_BYTES), np.uint8)
        for bucket, rows in self._by_bucket(keys):
            numbers = bucket.lookup.find_many(keys[rows])
            if (numbers < 0).any():
                key = keys[rows][numbers < 0][0].tobytes()
                raise MissingRecordError(f"{self.path} has no record {key.hex()}")
            found[rows] = bucket.lookup.entries["digest"][numbers]
        return found

    def __len__(self) -> int:
        for bucket in self._buckets:
            bucket.refresh()
        return sum(len(bucket.lookup) for bucket in self._buckets)

    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.path.iterdir())

    def payload_bytes(self) -> int:
        """Bytes of all payloads, without headers and index."""
        for bucket in self._buckets:
            bucket.refresh()
        return sum(int(b.lookup.entries["length"].sum()) for b in self._buckets)

    def damage(self) -> Iterator[Damage]:
        """Read every byte, and name what is not what was written."""
        for bucket in self._buckets:
            yield from bucket.damage()

    def repair(self) -> list[Damage]:
        """As `damage`, and take the damaged records out, so that they can be made again."""
        found = []
        for bucket in self._buckets:
            if here := bucket.damage():
                bucket.repair()
                found += here
        return found

    def flush(self) -> None:
        """Make sure that what was written outlives a power failure."""
        for bucket in self._buckets:
            bucket.flush()

    def _number(self, key: bytes) -> int:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        # The table in memory sorts by the first bytes; these are others.
        return int.from_bytes(key[-4:], "little") % len(self._buckets)

    def _bucket(self, key: bytes) -> Bucket:
        return self._buckets[self._number(key)]

    def _by_bucket(self, keys: NDArray[np.uint8]) -> Iterator[tuple[Bucket, NDArray[np.int64]]]:
        """Each bucket that some of the keys belong to, refreshed, and their rows."""
        numbers = np.ascontiguousarray(keys[:, -4:]).view("<u4")[:, 0] % len(self._buckets)
        order = np.argsort(numbers, kind="stable")
        used, starts = np.unique(numbers[order], return_index=True)
        for number, rows in zip(used, np.split(order, starts[1:])):
            self._buckets[number].refresh()
            yield self._buckets[number], rows


def _describe(path: Path, description: dict) -> None:
    """Write `store.json` unless another process was faster."""
    temporary = path / f".{DESCRIPTION}.{os.getpid()}"
    try:
        write_json(temporary, description)
        os.link(temporary, path / DESCRIPTION)
    except FileExistsError:
        pass
    except OSError as error:
        raise DataError(f"cannot make a store at {path}: {error}; choose another") from None
    finally:
        temporary.unlink(missing_ok=True)
