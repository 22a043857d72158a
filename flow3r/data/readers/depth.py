"""Depth maps as float32 [h, w], 0 where there is none, in whatever file they come.

Every function takes out what is no measurement (NaN, infinite, zero, negative, the named invalid
codes) and raises DataError naming the file, what was found and what was expected.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flow3r.data.readers.images import decoded
from flow3r.errors import ConfigError, DataError

_DPT_TAG = 202021.25


def read_depth_png(path: Path, per_unit: float, invalid: tuple[int, ...] = (0,)) -> np.ndarray:
    """A one-channel 16-bit PNG; depth = value / `per_unit`.

    `invalid`: codes that mean none, e.g. (0, 65535) for Kinect recordings.
    """
    codes = read_codes(path)
    depth = codes.astype(np.float32) / np.float32(per_unit)
    depth[np.isin(codes, invalid)] = 0
    return depth


def read_codes(path: Path) -> np.ndarray:
    """The values of a one-channel 16-bit PNG as they stand, uint16 [h, w]."""
    return decoded(path, "a 16-bit one-channel PNG", lambda opened: _codes(path, opened))


def read_depth_half_png(path: Path, scale: float = 1.0) -> np.ndarray:
    """A 16-bit PNG whose bits are float16 numbers (CO3D), times `scale`."""
    return measured(read_codes(path).view(np.float16).astype(np.float32) * np.float32(scale))


def read_depth_rgba_png(path: Path) -> np.ndarray:
    """A 4 x 8-bit PNG whose bytes are little-endian float32 numbers (TartanAir V2)."""

    def take(opened: Any) -> np.ndarray:
        pixels = np.asarray(opened)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4:
            raise DataError(f"{path}: {opened.mode} {list(pixels.shape)}, not 8-bit RGBA")
        # Written by OpenCV, which stores blue first; Pillow hands out red first.
        return np.ascontiguousarray(pixels[..., [2, 1, 0, 3]]).view("<f4")[..., 0]

    return measured(decoded(path, "a 4-channel PNG", take))


def read_depth_npy(path: Path, scale: float = 1.0) -> np.ndarray:
    """A NumPy array [h, w] (or with one channel more) of any real type, times `scale`."""
    return _plane(path, _loaded(path), scale)


def read_depth_npz(path: Path, key: str, scale: float = 1.0) -> np.ndarray:
    """The array `key` of a NumPy archive, times `scale`."""
    with _loaded(path) as archive:
        if key not in archive.files:
            raise DataError(f"{path}: has no array {key!r}, only {archive.files}")
        return _plane(path, archive[key], scale)


def read_depth_dpt(path: Path) -> np.ndarray:
    """Sintel's .dpt: float32 tag 202021.25, int32 width and height, float32 values."""
    content = _bytes(path)
    if len(content) < 12 or np.frombuffer(content[:4], "<f4")[0] != np.float32(_DPT_TAG):
        raise DataError(f"{path}: does not start with Sintel's tag {_DPT_TAG}, width and height")
    width, height = np.frombuffer(content[4:12], "<i4").tolist()
    if min(width, height) < 1 or len(content) != 12 + 4 * width * height:
        raise DataError(f"{path}: {len(content)} bytes do not fit {width} x {height} float32")
    return measured(np.frombuffer(content[12:], "<f4").reshape(height, width))


def read_depth_raw(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Bare little-endian float32 values of an image of (height, width) `size` (ETH3D)."""
    content = _bytes(path)
    if len(content) != 4 * size[0] * size[1]:
        raise DataError(f"{path}: {len(content)} bytes, not float32 of (height, width) {size}")
    return measured(np.frombuffer(content, "<f4").reshape(size))


def read_depth_exr(path: Path, channel: str = "") -> np.ndarray:
    """One channel of an EXR file: `channel`, or the one called Z, Y, V or R, or the only one.

    Needs the package OpenEXR; ConfigError says so.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise ConfigError(
            f"{path}: reading EXR needs OpenEXR, which cannot be imported ({error}); "
            "install it with: pip install OpenEXR"
        ) from error
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected an EXR file")
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: np.array(c.pixels) for name, c in file.channels().items()}
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as an EXR file ({error})") from error
    names = [channel] if channel else [n for n in ("Z", "Y", "V", "R") if n in channels]
    if not names and len(channels) == 1:
        names = list(channels)
    if not names or names[0] not in channels:
        raise DataError(f"{path}: channels {sorted(channels)}, not {channel or 'Z, Y, V or R'}")
    return measured(channels[names[0]].astype(np.float32))


def depth_from_disparity(
    disparity: np.ndarray, focal: float, baseline: float, offset: float = 0.0
) -> np.ndarray:
    """z = focal * baseline / (disparity + offset), in the unit of the baseline; 0 where d is none.

    Of rectified pairs; `offset` is the difference of the principal points in x (Middlebury 2014's
    doffs). Non-finite disparities are no measurement.
    """
    shifted = np.asarray(disparity, dtype=np.float64) + offset
    known = np.isfinite(shifted) & (shifted > 0)
    depth = np.zeros(shifted.shape, dtype=np.float32)
    depth[known] = focal * baseline / shifted[known]
    return depth


def measured(values: np.ndarray) -> np.ndarray:
    """float32 copy with 0 in place of whatever is not positive and finite."""
    values = values.astype(np.float32)
    values[~(np.isfinite(values) & (values > 0))] = 0
    return values


def _codes(path: Path, opened: Any) -> np.ndarray:
    codes = np.asarray(opened)
    if codes.ndim == 2 and codes.dtype == np.int32 and codes.min() >= 0 and codes.max() <= 65535:
        codes = codes.astype(np.uint16)  # what some versions of Pillow make of 16 bits
    if codes.ndim != 2 or codes.dtype != np.uint16:
        raise DataError(
            f"{path}: {opened.mode} {codes.dtype} {list(codes.shape)}, not 16-bit with one channel"
        )
    return codes


def _plane(path: Path, values: Any, scale: float) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values.squeeze(0 if values.shape[0] == 1 else 2)
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise DataError(f"{path}: {values.dtype} {list(values.shape)}, not numbers [h, w]")
    return measured(values.astype(np.float64) * scale)


def _loaded(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a NumPy file")
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as a NumPy file ({error})") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
