"""Scores of many runs as arrays: what evaluation.json says, without a Python object per number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flow3r.errors import DataError


@dataclass(frozen=True)
class Layout:
    """What the runs scored on one benchmark have in common; equal layouts are one object.

    chance: metric -> score of the best constant prediction; covariates: name -> value per scene,
    NaN where undefined (properties of the scene, the same for every run).
    """

    benchmark: str
    fingerprint: str | None
    scenes: tuple[str, ...]
    metrics: tuple[str, ...]
    chance: tuple[tuple[str, float], ...] = ()
    covariates: tuple[tuple[str, tuple[float, ...]], ...] = ()


@dataclass(frozen=True)
class Scored:
    """One run on one benchmark: values [K, M] by scene and metric; NaN = none, or not finite."""

    layout: Layout
    values: np.ndarray


@dataclass(frozen=True)
class Matrix:
    """values [S, K]: scores of one arm by seed and scene, both sorted; NaN where undefined."""

    seeds: list[int]
    scenes: list[str]
    values: np.ndarray

    def at(self, seeds: list[int], scenes: list[str]) -> np.ndarray:
        """The part of the matrix at these of its seeds and scenes, in that order."""
        if seeds == self.seeds and scenes == self.scenes:
            return self.values
        rows = {seed: i for i, seed in enumerate(self.seeds)}
        columns = {scene: i for i, scene in enumerate(self.scenes)}
        chosen = np.ix_([rows[seed] for seed in seeds], [columns[scene] for scene in scenes])
        return self.values[chosen]


@dataclass(frozen=True)
class Cube:
    """All runs on one benchmark: values [R, K, M]; runs, scenes and metrics are sorted."""

    runs: tuple[str, ...]
    scenes: tuple[str, ...]
    metrics: tuple[str, ...]
    values: np.ndarray

    def matrix(self, seeds: Mapping[int, str], metric: str) -> Matrix | None:
        """The scores of the runs `seeds` (seed -> run id), without empty seeds and scenes."""
        if metric not in self.metrics:
            return None
        rows = {run: i for i, run in enumerate(self.runs)}
        known = sorted(seed for seed in seeds if seeds[seed] in rows)
        chosen = [rows[seeds[seed]] for seed in known]
        values = self.values[chosen, :, self.metrics.index(metric)]  # [S, K]
        defined = ~np.isnan(values)
        kept, filled = defined.any(axis=1), defined.any(axis=0)
        if not kept.any():
            return None
        scenes = [scene for scene, there in zip(self.scenes, filled) if there]
        return Matrix(
            [seed for seed, there in zip(known, kept) if there], scenes, values[kept][:, filled]
        )


def scored_benchmark(name: str, raw: Mapping[str, Any], known: dict[Layout, Layout]) -> Scored:
    """One benchmark of an evaluation.json. `known` collects the layouts met so far.

    Raises DataError where a scene is scored twice; KeyError, TypeError or ValueError where the
    content is not what the format says.
    """
    rows = raw["scenes"]
    scenes = tuple(row["scene"] for row in rows)
    if len(set(scenes)) != len(scenes):
        raise DataError(f"benchmark {name!r} scores a scene twice")
    metrics = _names([row["metrics"] for row in rows])
    chance = (raw.get("chance") or {}).items()
    described = [row.get("covariates") or {} for row in rows]
    covariates = _names(described)
    layout = Layout(
        name,
        raw.get("fingerprint"),
        scenes,
        metrics,
        tuple((metric, float(value)) for metric, value in chance),
        tuple(zip(covariates, map(tuple, _table(described, covariates).T.tolist()))),
    )
    values = _table([row["metrics"] for row in rows], metrics)
    values[~np.isfinite(values)] = np.nan
    return Scored(known.setdefault(layout, layout), values)


def _names(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*rows)))


def _table(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> np.ndarray:
    """Values [rows, names]; null and absent become NaN."""
    cells = [[row.get(name) for name in names] for row in rows]
    return np.array(cells, dtype=np.float64).reshape(len(rows), len(names))


def build_cube(scored: Mapping[str, Scored]) -> Cube:
    """Runs (by id) on one benchmark, over the union of their scenes and metrics."""
    runs = tuple(sorted(scored))
    layouts = list({id(s.layout): s.layout for s in scored.values()}.values())
    scenes = tuple(sorted(set().union(*(layout.scenes for layout in layouts))))
    metrics = tuple(sorted(set().union(*(layout.metrics for layout in layouts))))
    values = np.full((len(runs), len(scenes), len(metrics)), np.nan)
    for layout in layouts:
        rows = [i for i, run in enumerate(runs) if scored[run].layout is layout]
        if not layout.scenes or not layout.metrics:
            continue
        at_scene = {scene: i for i, scene in enumerate(scenes)}
        at_metric = {metric: i for i, metric in enumerate(metrics)}
        place = np.ix_(
            rows, [at_scene[s] for s in layout.scenes], [at_metric[m] for m in layout.metrics]
        )
        values[place] = np.stack([scored[runs[i]].values for i in rows])
    return Cube(runs, scenes, metrics, values)
