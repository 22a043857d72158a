"""Which preset a released state dict has the sizes of."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor

from flow3r.errors import DataError
from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.model.config import PRESETS
from flow3r.weights.layouts import architecture_of, recognise, released_names


def preset_of(state_dict: Mapping[str, Tensor], where: str) -> str:
    """The preset that shares most tensors, by name and shape, with released weights.

    Raises DataError, with what was found, if less than half of a preset's tensors are there: the
    strict import names single tensors better than a search for another preset could.
    """
    layout = recognise(state_dict, where)
    shapes = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    shared = {}
    for preset, factory in PRESETS.items():
        if factory().architecture == architecture_of(layout):
            expected = _released_shapes(preset)
            equal = sum(shapes.get(name) == shape for name, shape in expected.items())
            shared[preset] = equal / len(expected)
    best = max(shared, key=lambda preset: shared[preset], default=None)
    if best is None or shared[best] < 0.5:
        raise DataError(
            f"{where}: {layout} weights of other sizes than the presets {sorted(shared)} "
            f"({len(shapes)} tensors); say model=<preset or config>"
        )
    return best


@cache
def _released_shapes(preset: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = build_model(PRESETS[preset](), FormulationConfig("3d-sup"), seed=0)
    state = model.state_dict()
    return {name: tuple(state[ours].shape) for name, ours in released_names(model).items()}
