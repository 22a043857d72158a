"""Parsed run directories, kept beside a large sweep's report: parsing 10,000 of them takes a while.

A run's entry is used only while all its files have the size, times and inode that they had when
they were parsed. Files that changed within the last seconds before parsing are not kept, since a
second change could fall into the same tick of the clock. Deleting the cache loses nothing.
"""

from __future__ import annotations

import dataclasses
import json
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analysis.runfiles import FILES, RunFiles
from analysis.scores import Layout, Scored
from flow3r.files import write_atomically

NAME = "records-cache.npz"
SCHEMA = 1  # change it with everything that decides what is parsed
WORTHWHILE = 200  # runs; fewer are parsed faster than anybody notices
SETTLED_NS = 2_000_000_000  # a file must be older than this to be recognised by its times
Stamp = tuple[tuple[int, ...], ...]  # a line per file of FILES


def stamp(directory: Path) -> Stamp:
    """What tells one state of a run's files from another; zeros where there is no file."""
    return tuple(_stat(directory / name) for name in FILES)


def _stat(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0, 0)
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def load(path: Path) -> dict[str, tuple[Stamp, RunFiles]]:
    """run id -> its stamp and content; empty where there is no readable cache of this schema."""
    try:
        with np.load(path, allow_pickle=False) as file:
            index = json.loads(file["index"].tobytes())
            if index["schema"] != SCHEMA:
                return {}
            layouts = [_layout(raw) for raw in index["layouts"]]
            values = [file[f"values{i}"] for i in range(len(layouts))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    return {
        run["id"]: (
            tuple(map(tuple, run["stamp"])),
            RunFiles(
                run["facts"], tuple(Scored(layouts[i], values[i][row]) for i, row in run["scored"])
            ),
        )
        for run in index["runs"]
    }


def save(path: Path, entries: Mapping[str, tuple[Stamp, RunFiles]]) -> None:
    """Write the entries that are old enough to be recognised; a read-only folder gets none."""
    latest = time.time_ns() - SETTLED_NS
    layouts: dict[int, Layout] = {}
    values: dict[int, list[np.ndarray]] = {}
    runs = []
    for run_id, (seen, files) in entries.items():
        if max(max(line[1:3]) for line in seen) > latest:
            continue
        scored = []
        for part in files.scored:
            layouts.setdefault(id(part.layout), part.layout)
            rows = values.setdefault(id(part.layout), [])
            scored.append((list(layouts).index(id(part.layout)), len(rows)))
            rows.append(part.values)
        runs.append({"id": run_id, "stamp": seen, "facts": files.facts, "scored": scored})
    described = [dataclasses.asdict(layout) for layout in layouts.values()]
    index = json.dumps({"schema": SCHEMA, "layouts": described, "runs": runs}).encode()
    arrays = {f"values{i}": np.stack(values[key]) for i, key in enumerate(layouts)}
    arrays["index"] = np.frombuffer(index, dtype=np.uint8)

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)

    try:
        write_atomically(path, write)
    except OSError:
        return  # it is only a cache


def _layout(raw: Mapping[str, Any]) -> Layout:
    return Layout(
        raw["benchmark"],
        raw["fingerprint"],
        tuple(raw["scenes"]),
        tuple(raw["metrics"]),
        tuple((metric, value) for metric, value in raw["chance"]),
        tuple((name, tuple(values)) for name, values in raw["covariates"]),
    )
