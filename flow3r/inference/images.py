"""Image files: finding them, decoding them upright, resizing pictures. Pillow on request."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

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


def find_images(folder: Path) -> list[Path]:
    """The image files directly in a folder, told by their extension, in natural order.

    Raises DataError if there are none.
    """
    files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    found = [path for path in files if path.suffix.lower() in EXTENSIONS]
    if not found:
        raise DataError(
            f"input={str(folder)!r}: no image in this folder ({len(files)} other entries); "
            f"images end in {sorted(EXTENSIONS)}, a video is given as the file itself"
        )
    return sorted(found, key=natural_key)


def natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts frame9 before frame10; names that differ in leading zeros alone, by the text."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts], path.name


def read_image(path: Path) -> Picture:
    """One image, upright (EXIF orientation), as 8-bit RGB; transparency is dropped.

    Raises DataError naming the file for whatever cannot be decoded, and for more than 8 bits per
    channel, which a conversion would clip.
    """
    image_module = require_pillow()
    from PIL import ImageOps

    try:
        with image_module.open(path) as opened:
            if opened.mode.startswith(("I", "F")):
                raise DataError(f"{path}: more than 8 bits per channel ({opened.mode})")
            upright = ImageOps.exif_transpose(opened)
            return np.asarray(upright.convert("RGB"))
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error})") from error


def resize(picture: Picture, size: tuple[int, int], box: tuple[int, int, int, int]) -> Picture:
    """The part `box` (left, top, right, bottom) of a picture at `size` (height, width), Lanczos."""
    image_module = require_pillow()
    image = image_module.fromarray(picture)
    resized = image.resize((size[1], size[0]), image_module.Resampling.LANCZOS, box=box)
    return np.asarray(resized)
