"""Score arrays as one long table: a row per run, benchmark, scene and metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.scores import Cube

Coded = tuple[np.ndarray, Sequence[str]]  # codes, and the names they stand for


def tidy_scores(cubes: Mapping[str, Cube], runs: pd.DataFrame) -> pd.DataFrame:
    """The defined scores of all benchmarks, with the columns of `runs`.

    `runs` has a row per arm and run; a run that stands for two arms has its scores twice. Names
    are categorical, which keeps millions of rows small.
    """
    parts = [_long(name, cube) for name, cube in cubes.items()]
    names = {key: _joined([part[key] for part in parts]) for key in parts[0] if key != "value"}
    table = pd.DataFrame({**names, "value": np.concatenate([part["value"] for part in parts])})
    occurrence = runs.groupby("run_id").cumcount()
    copies = [
        _with_columns(table, runs[occurrence == n].set_index("run_id"))
        for n in range(occurrence.max() + 1)
    ]
    return pd.concat(copies, ignore_index=True) if len(copies) > 1 else copies[0]


def _long(benchmark: str, cube: Cube) -> dict[str, Coded | np.ndarray]:
    run, scene, metric = np.nonzero(~np.isnan(cube.values))
    return {
        "run_id": (run, cube.runs),
        "benchmark": (np.zeros(len(run), dtype=np.int64), [benchmark]),
        "scene": (scene, cube.scenes),
        "metric": (metric, cube.metrics),
        "value": cube.values[run, scene, metric],
    }


def _joined(parts: Sequence[Coded]) -> pd.Categorical:
    """The same names have the same code in every part."""
    names = list(dict.fromkeys(name for _, own in parts for name in own))
    place = {name: i for i, name in enumerate(names)}
    codes = [np.array([place[name] for name in own], np.int32)[found] for found, own in parts]
    return pd.Categorical.from_codes(np.concatenate(codes), categories=names)


def _with_columns(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of the table whose run is in `runs` (indexed by run id), with its columns."""
    place = runs.index.get_indexer(table["run_id"].cat.categories)  # -1: not in `runs`
    rows = place[table["run_id"].cat.codes]
    if (rows < 0).any():
        table, rows = table[rows >= 0].reset_index(drop=True), rows[rows >= 0]
    columns = {}
    for name in runs.columns:
        values = runs[name]
        known = pd.Categorical(values) if not pd.api.types.is_numeric_dtype(values) else None
        columns[name] = values.to_numpy()[rows] if known is None else known.take(rows)
    return table.assign(**columns)
