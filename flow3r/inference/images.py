"""Image files of a folder; resizing pictures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from flow3r.data.readers.images import EXTENSIONS, Picture, require_pillow
from flow3r.errors import DataError


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


def resize(picture: Picture, size: tuple[int, int], box: tuple[int, int, int, int]) -> Picture:
    """The part `box` (left, top, right, bottom) of a picture at `size` (height, width), Lanczos."""
    image_module = require_pillow()
    image = image_module.fromarray(picture)
    resized = image.resize((size[1], size[0]), image_module.Resampling.LANCZOS, box=box)
    return np.asarray(resized)
