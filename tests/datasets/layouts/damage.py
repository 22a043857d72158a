"""What can happen to a download, in the words of the damage tests: each is (how, what to name)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dataset_layouts.files import save_image, save_text


def removed(file: str):
    return lambda folder: (folder / file).unlink(), Path(file).name


def unreadable(file: str):
    return lambda folder: (folder / file).write_bytes(b"not what it should be"), Path(file).name


def text(file: str, content: str, named: str = ""):
    return lambda folder: save_text(folder / file, content), named or Path(file).name


def codes_of_size(file: str, size: tuple[int, int]):
    """A depth PNG of another size."""
    return lambda folder: save_image(folder / file, np.ones(size, np.uint16)), Path(file).name


def image_of_size(file: str, size: tuple[int, int]):
    return lambda folder: save_image(folder / file, np.zeros((*size, 3), np.uint8)), Path(file).name


def shortened(file: str, lines: int = 1):
    """A text file without its last lines."""

    def cut(folder: Path) -> None:
        kept = (folder / file).read_text().splitlines()[:-lines]
        save_text(folder / file, "\n".join(kept) + "\n")

    return cut, Path(file).name


def replaced(file: str, old: str, new: str, named: str = ""):
    """A text file in which something else stands."""

    def change(folder: Path) -> None:
        content = (folder / file).read_text()
        assert old in content
        save_text(folder / file, content.replace(old, new, 1))

    return change, named or Path(file).name


def truncated(file: str, keep: int = 40):
    """A binary file that ends early."""

    def cut(folder: Path) -> None:
        (folder / file).write_bytes((folder / file).read_bytes()[:keep])

    return cut, Path(file).name
