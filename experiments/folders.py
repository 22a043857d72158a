"""Folders for results that are no runs: named after their input, never the same one twice."""

from __future__ import annotations

from pathlib import Path

from flow3r.errors import DataError


def new_folder(parent: Path, source: Path) -> Path:
    """Make a folder named after the input; a number is added where there is one already."""
    name = source.resolve().stem
    try:
        parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = parent / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise DataError(f"cannot create {parent}: {error}; choose another output_dir") from None
