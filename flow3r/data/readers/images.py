"""Pictures as 8-bit RGB. Pillow on request: it refuses a file that ends early, OpenCV fills it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow3r.errors import ConfigError, DataError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm"})

Picture = NDArray[np.uint8]
"""RGB [H, W, 3]."""


def require_pillow() -> ModuleType:
    """The PIL.Image module, imported only now. Raises ConfigError saying what to install."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError(
            f"reading images needs Pillow, which cannot be imported ({error}); "
            "install it with: pip install pillow"
        ) from error
    return Image


def read_rgb(path: Path) -> Picture:
    """One image as its pixels are stored; the EXIF orientation is ignored, transparency dropped.

    What intrinsics and depth maps of a dataset belong to. Raises DataError naming the file for
    whatever is missing or cannot be decoded whole, and for more than 8 bits per channel, which a
    conversion would clip.
    """
    return _decode(path, lambda opened: opened)


def read_upright_rgb(path: Path) -> Picture:
    """As `read_rgb`, turned upright as the EXIF orientation says: for pictures to look at."""
    require_pillow()
    from PIL import ImageOps

    return _decode(path, ImageOps.exif_transpose)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of the stored pixels, from the header alone. Raises DataError."""
    width, height = decoded(path, "an image", lambda opened: opened.size)
    return height, width


def decoded(path: Path, what: str, take: Callable[[Any], Any]) -> Any:
    """`take(image)` of the opened file; DataError naming the file and `what` it should be."""
    image_module = require_pillow()
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected {what}")
    try:
        with image_module.open(path) as opened:
            return take(opened)
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read as {what} ({error})") from error


def _decode(path: Path, turn: Callable[[Any], Any]) -> Picture:
    def take(opened: Any) -> Picture:
        if opened.mode.startswith(("I", "F")):
            raise DataError(f"{path}: more than 8 bits per channel ({opened.mode}), not an image")
        return np.asarray(turn(opened).convert("RGB"))

    return decoded(path, "an image", take)
