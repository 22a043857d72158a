"""A benchmark's scores from those of its scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flow3r.evaluation.protocols.protocol import Protocol

POOLINGS = ("pairs", "groups", "scenes")


def summarise_scenes(
    protocol: Protocol, scenes: Sequence[Mapping[str, Any]], pooling: str = ""
) -> dict[str, float]:
    """The mean of each metric of the protocol over the records of `score_scene` that define it.

    RRA, RTA and AUC are pooled as the protocol says, or as `pooling` (one of `POOLINGS`); depth
    metrics are weighted by pixels; the rest are unweighted. A metric without a scene is absent.
    """
    pooling = pooling or protocol.poses.pooling
    summary = {}
    for name in protocol.metrics:
        known = [scene for scene in scenes if name in scene["metrics"]]
        if known:
            summary[name] = _mean(protocol, name, known, pooling)
    return summary


def _mean(
    protocol: Protocol, name: str, scenes: Sequence[Mapping[str, Any]], pooling: str
) -> float:
    values = np.array([scene["metrics"][name] for scene in scenes], dtype=np.float64)
    weight = _weight(protocol, name)
    if not weight or (weight != "pixels" and pooling == "scenes"):
        return float(values.mean())
    weights = np.array([scene["weights"][weight] for scene in scenes], dtype=np.float64)
    if weight == "pixels" or pooling == "pairs":
        return float(np.average(values, weights=weights))
    groups = np.array([scene["group"] for scene in scenes])
    each = [groups == group for group in np.unique(groups)]
    return float(np.mean([np.average(values[of], weights=weights[of]) for of in each]))


def _weight(protocol: Protocol, name: str) -> str:
    """The weight of a scene in the mean of a metric; '' for equal ones."""
    if protocol.family == "depth":
        return "pixels"
    family = name.partition("_")[0]
    return {"rra": "pairs", "rta": "directed_pairs", "auc": "directed_pairs"}.get(family, "")
