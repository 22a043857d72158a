"""One record in a file: magic, key, length, checksum, payload.

The checksum (BLAKE2b, 128 bits) covers header and payload, so a flipped byte anywhere is seen.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any

from flow3r.errors import DataError

KEY_BYTES = 32
DIGEST_BYTES = 16
MAGIC = b"\x89F3REC\r\n"
_HEADER = struct.Struct(f"<8s{KEY_BYTES}sQ{DIGEST_BYTES}s")
HEADER_BYTES = _HEADER.size
MAX_PAYLOAD = 2**32 - 1


class StoreError(DataError):
    """A store that cannot be written: whatever is tried next would fail as well."""


class MissingRecordError(DataError):
    """A key that the store does not hold."""


class DamagedRecordError(DataError):
    """A record whose bytes are not those that were written."""


@dataclass(frozen=True)
class Header:
    """What precedes a payload."""

    key: bytes
    length: int  # of the payload
    digest: bytes

    def fits(self, payload: bytes) -> bool:
        """Whether header and payload are what was written."""
        if len(payload) != self.length:
            return False
        return _digest(self.key, payload) == self.digest


def content_key(value: Any) -> bytes:
    """The key of what a JSON value describes; equal values, whatever the order of their names."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()


def pack(key: bytes, payload: bytes) -> tuple[bytes, Header]:
    """The bytes of a record, and its header. ValueError for a wrong key or too long a payload."""
    if len(key) != KEY_BYTES or len(payload) > MAX_PAYLOAD:
        raise ValueError(f"key of {len(key)} bytes, payload of {len(payload)} bytes")
    header = Header(key, len(payload), _digest(key, payload))
    return _HEADER.pack(MAGIC, key, len(payload), header.digest) + payload, header


def parse(data: bytes) -> Header | None:
    """The header at the start of `data`, or None where there is none."""
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    _, key, length, digest = _HEADER.unpack_from(data)
    return Header(key, length, digest)


def _digest(key: bytes, payload: bytes) -> bytes:
    found = hashlib.blake2b(key + struct.pack("<Q", len(payload)), digest_size=DIGEST_BYTES)
    found.update(payload)
    return found.digest()
