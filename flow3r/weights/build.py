"""A model built around weights from a file."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import torch

from flow3r.errors import DataError
from flow3r.formulations.assembled import Flow3r, build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.model.config import ModelConfig
from flow3r.weights.transfer import ImportReport


def build_with_weights(
    config: ModelConfig,
    formulation: FormulationConfig,
    seed: int,
    transfer: Callable[[Flow3r], ImportReport],
    where: str,
) -> tuple[Flow3r, ImportReport]:
    """Build a model and let `transfer` set its weights.

    The model is first built on the meta device, without memory and without drawing initial weights,
    and takes over the file's tensors. Only if the file lacks a part are initial weights drawn. A
    DataError of `transfer` gets the prefix `where`.
    """
    try:
        return _build(config, formulation, seed, transfer)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _build(
    config: ModelConfig,
    formulation: FormulationConfig,
    seed: int,
    transfer: Callable[[Flow3r], ImportReport],
) -> tuple[Flow3r, ImportReport]:
    with torch.device("meta"):
        model = build_model(config, formulation, seed)
    report = transfer(model)
    if any(tensor.is_meta for tensor in chain(model.parameters(), model.buffers())):
        model = build_model(config, formulation, seed)
        report = transfer(model)
    return model, report


@torch.no_grad()
def unmap(model: Flow3r) -> Flow3r:
    """Copy weights that are mapped from a file into memory of their own, aligned as any other."""
    for tensor in chain(model.parameters(), model.buffers()):
        tensor.data = tensor.data.clone()
    return model
