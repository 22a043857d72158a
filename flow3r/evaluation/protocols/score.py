"""The scores of one scene by a protocol."""

from __future__ import annotations

from typing import Any

from flow3r.evaluation.protocols.protocol import Protocol
from flow3r.evaluation.protocols.truth import SceneTruth
from flow3r.evaluation.sequence import SequencePrediction


def score_scene(
    protocol: Protocol, truth: SceneTruth, prediction: SequencePrediction, workers: int = -1
) -> dict[str, Any]:
    """Score one scene; it needs no other scene, so scenes may be scored in parallel.

    Returns {"scene", "group", "frames": N, "metrics": {name: value}, "weights": {name: value}}. A
    metric that the prediction or the truth does not define is absent. `weights` are what `summary`
    needs to pool scenes: "pairs" and "directed_pairs" (those with a true translation), and
    "pixels" of known depth. `workers` threads seek nearest neighbours (-1: all cores); their number
    changes no result. Raises DataError where frames differ.
    """
    raise NotImplementedError
