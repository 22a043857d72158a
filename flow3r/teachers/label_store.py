"""A teacher's labels on disk: made once for a pair of frames, read by every run of every sweep.

A label is found by what it was made from (`LabelIdentity.key`), never by where it was made, so runs
that overlap share labels. It keeps

- the displacement in multiples of 1/256 px as float16 times a power of two: within 1/512 px +
  |d| / 2048 of the teacher's d, a hundredth of a teacher's own error;
- covisibility in 8 bits: within 1/510;
- nothing of the displacement where covisibility rounds to 0: no loss looks there.

In the file: covisibility, then the high and the low bytes of the displacement of x, then of y,
deflated. Bytes of a pair of 64 px (60 pairs of 10 clips of real video, DIS, 26 % hidden): 20480 as
they are, 6879 like this (0.7 ms to write, 0.07 ms to read). 10644 with the last bits of float16
that only hold noise, 11727 without planes; level 1 of deflate 7611, Zstandard (level 3) 7350;
differences along rows make it larger (7261).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flow3r.errors import DataError
from flow3r.geometry.camera import pixel_grid
from flow3r.storage.records import KEY_BYTES, content_key
from flow3r.storage.store import RecordStore
from flow3r.teachers.base import FlowLabels, Teacher

KIND = "labels"
FORMAT = 1
"""Of the payload, and of how frames are decoded and flow is reduced. Part of the key, so that
another one makes labels anew."""
LEVEL = 6
STEPS = 256
"""Of a pixel. The rest would be noise, which does not compress."""
LARGEST = 65504.0
_HEADER = struct.Struct("<BbHHd")  # format, exponent of the scale, height, width, mean covisibility


@dataclass(frozen=True)
class LabelIdentity:
    """What all labels of one data set share."""

    teacher: Teacher
    working_size: tuple[int, int]
    """(height, width) of the frames that the teacher saw."""
    size: tuple[int, int]
    """(height, width) of the labels."""

    @cached_property
    def _shared(self) -> bytes:
        return content_key(
            {
                "format": FORMAT,
                "teacher": self.teacher.name,
                "settings": dict(self.teacher.settings),
                "working_size": list(self.working_size),
                "size": list(self.size),
            }
        )

    def key(self, source: str, frames: Sequence[int]) -> bytes:
        """The key of a pair's label.

        source: fingerprint of the video. frames: numbers from the pair's source frame to its target
        frame, with those between that the teacher may chain over, in that order.
        """
        numbers = np.asarray(frames, "<i8").tobytes()
        found = hashlib.blake2b(self._shared, digest_size=KEY_BYTES)
        found.update(f"{source}\0".encode() + numbers)
        return found.digest()


def label_store(folder: Path) -> RecordStore:
    """The labels of a store folder, which is made if need be."""
    return RecordStore.create(folder / KIND, KIND)


def pack_labels(labels: FlowLabels) -> list[bytes]:
    """One payload per pair. Raises DataError where a covisible pixel has no finite flow."""
    height, width = labels.covisibility.shape[-2:]
    device = labels.target_px.device
    displacement = labels.target_px - pixel_grid(height, width, device, torch.float32)
    covisibility = (labels.covisibility.float().clamp(0, 1) * 255).round().to(torch.uint8)
    seen = covisibility > 0
    if not displacement[seen].isfinite().all():
        raise DataError("the teacher's flow is not finite at covisible pixels")
    displacement = torch.where(seen[..., None], displacement, 0.0)
    return [
        pack_label(d, c) for d, c in zip(displacement.cpu().numpy(), covisibility.cpu().numpy())
    ]


def pack_label(displacement: NDArray[np.float32], covisibility: NDArray[np.uint8]) -> bytes:
    """The payload of displacements [H, W, 2] and covisibility [H, W] in steps of 1/255."""
    height, width = covisibility.shape
    exponent = _exponent(float(np.abs(displacement).max(initial=0)))
    rounded = np.round(displacement * STEPS) / STEPS
    words = np.ldexp(rounded, -exponent).astype("<f2").view("<u2")  # [H, W, 2]
    planes = [covisibility, *(part[..., a] for a in (0, 1) for part in (words >> 8, words & 0xFF))]
    content = b"".join(plane.astype(np.uint8).tobytes() for plane in planes)
    seen = covisibility.mean(dtype=np.float64) / 255
    return _HEADER.pack(FORMAT, exponent, height, width, seen) + zlib.compress(content, LEVEL)


def unpack_label(payload: bytes) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Displacements [H, W, 2] and covisibility [H, W] in steps of 1/255."""
    exponent, height, width, _ = _header(payload)
    content = np.frombuffer(zlib.decompress(payload[_HEADER.size :]), np.uint8)
    planes = content.reshape(5, height, width)
    words = (planes[1::2].astype("<u2") << 8) | planes[2::2]  # [2, H, W]
    displacement = words.view("<f2").transpose(1, 2, 0).astype(np.float32)
    if exponent:
        displacement = np.ldexp(displacement, exponent)
    return displacement, planes[0]


def mean_covisibility(payload: bytes) -> float:
    """Of all pixels; cheaper than to unpack the label."""
    return _header(payload)[-1]


def _header(payload: bytes) -> tuple[int, int, int, float]:
    found, *values = _HEADER.unpack_from(payload)
    if found != FORMAT:
        raise DataError(f"a label of format {found}; this code reads {FORMAT}")
    return tuple(values)


def _exponent(largest: float) -> int:
    """The smallest power of two, at least 1, that brings the displacements into float16."""
    exponent = 0
    while largest > LARGEST * 2.0**exponent:
        exponent += 1
    return exponent
