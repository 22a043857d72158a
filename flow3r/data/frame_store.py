"""The frames of clips on disk, at the clips' size: no video is decoded while training.

One record per clip. `lossless` needs numpy alone; `jpeg` and `webp` are smaller, change the numbers
a little, and need OpenCV where they are written and read. Codec and quality are part of a run's
identity. Per frame of 64 px of real video: lossless 7.8 kB, 0.12 ms to read; jpeg (95) 4.0 kB,
0.08 ms, mean error 2.0 of 255; webp (95) 2.2 kB, 0.14 ms, 3.0 (as they are: 12.3 kB).
`experiments/benchmark.py case=video_input` compares with decoding the video.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flow3r.config import require, require_choice
from flow3r.errors import DataError
from flow3r.storage.records import content_key
from flow3r.storage.store import RecordStore
from flow3r.teachers.opencv import require_opencv

KIND = "frames"
FORMAT = 1
CODECS = ("lossless", "jpeg", "webp")
LEVEL = 1
_HEADER = struct.Struct("<BBHHH")  # format, codec, frames, height, width

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameCodec:
    """How frames are kept."""

    name: str = "lossless"
    quality: int = 95
    """Of jpeg and webp, 1 to 100."""

    def __post_init__(self) -> None:
        require_choice("name", self.name, CODECS)
        require(1 <= self.quality <= 100, f"quality={self.quality} must lie in 1..100")


def frame_store(folder: Path) -> RecordStore:
    """The frames of a store folder, which is made if need be."""
    return RecordStore.create(folder / KIND, KIND)


def frames_key(
    source: str,
    numbers: Sequence[int],
    working_size: tuple[int, int],
    size: tuple[int, int],
    codec: FrameCodec,
) -> bytes:
    """The key of a clip's frames.

    source: fingerprint of the video. numbers: of the clip's own frames. working_size: (height,
    width) that they were decoded to before they were reduced to `size`.
    """
    return content_key(
        {
            "format": FORMAT,
            "source": source,
            "numbers": list(numbers),
            "working_size": list(working_size),
            "size": list(size),
            "codec": [codec.name, 0 if codec.name == "lossless" else codec.quality],
        }
    )


def pack_frames(frames: Frames, codec: FrameCodec) -> bytes:
    """The payload of RGB frames [N, H, W, 3]."""
    count, height, width, _ = frames.shape
    header = _HEADER.pack(FORMAT, CODECS.index(codec.name), count, height, width)
    if codec.name == "lossless":
        return header + zlib.compress(_differences(frames).tobytes(), LEVEL)
    files = [_encode(frame, codec) for frame in frames]
    lengths = struct.pack(f"<{count}I", *map(len, files))
    return header + lengths + b"".join(files)


def unpack_frames(payload: bytes) -> Frames:
    """The RGB frames [N, H, W, 3] of a payload."""
    found, codec, count, height, width = _HEADER.unpack_from(payload)
    if found != FORMAT:
        raise DataError(f"frames of format {found}; this code reads {FORMAT}")
    body = payload[_HEADER.size :]
    if CODECS[codec] == "lossless":
        content = np.frombuffer(zlib.decompress(body), np.uint8)
        return _sums(content.reshape(count, 3, height, width))
    lengths = struct.unpack_from(f"<{count}I", body)
    ends = np.cumsum(lengths) + struct.calcsize(f"<{count}I")
    return np.stack([_decode(body[end - length : end]) for length, end in zip(lengths, ends)])


def _encode(frame: Frames, codec: FrameCodec) -> bytes:
    cv2 = require_opencv()
    if codec.name == "jpeg":
        options = [cv2.IMWRITE_JPEG_QUALITY, codec.quality]
        # Colour at full resolution: frames are small, and edges matter to a matcher.
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    else:
        options = [cv2.IMWRITE_WEBP_QUALITY, codec.quality]
    written, content = cv2.imencode(f".{codec.name}", frame[..., ::-1], options)
    if not written:
        raise DataError(f"a frame cannot be written as {codec.name}")
    return content.tobytes()


def _decode(content: bytes) -> Frames:
    cv2 = require_opencv()
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def _differences(frames: Frames) -> Frames:
    """Colours as planes, green taken off red and blue, each pixel less the one above it."""
    planes = np.array(frames.transpose(0, 3, 1, 2), order="C")
    planes[:, ::2] -= planes[:, 1:2]
    planes[:, :, 1:] -= planes[:, :, :-1].copy()
    return planes


def _sums(planes: Frames) -> Frames:
    """The inverse of `_differences`, as [N, H, W, 3]."""
    planes = np.cumsum(planes, axis=2, dtype=np.uint8)
    planes[:, ::2] += planes[:, 1:2]
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
