"""From a spec to the objects of a run: stores, pools, initial weights, devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from experiments.spec import RunSpec
from experiments.stages import dataset_stage, pretrain_stage, unlabelled_stage
from flow3r.data.pool import Pool
from flow3r.data.store import ClipStore
from flow3r.errors import ConfigError, DataError
from flow3r.formulations.assembled import Flow3r, build_model
from flow3r.model.released import load_dinov2, load_pi3
from flow3r.training.checkpoint import load_weights

WEIGHTS = "weights.pt"
MODEL_PREFIX = "model."
"""Backbone and geometry heads, in a run's and in the pretrain stage's state dict alike."""


def open_dataset(dataset: dict[str, Any], output_dir: Path) -> ClipStore:
    """The finished store of a generated data set."""
    return ClipStore.open(output_dir / "stages" / dataset_stage(dataset).id / "clips")


def open_pools(spec: dict[str, Any], output_dir: Path) -> dict[str, Pool]:
    """The pools `source`, `labelled` and `unlabelled` of a run."""
    data = spec["data"]
    pools = {
        "source": Pool.whole([open_dataset(d, output_dir) for d in data["source"]]),
        "labelled": Pool.nested(
            open_dataset(data["labelled"], output_dir), data["labelled_clips"], "labelled"
        ),
        "unlabelled": Pool([], []),
    }
    if data["unlabelled_clips"]:
        store = ClipStore.open(output_dir / "stages" / unlabelled_stage(spec).id / "clips")
        pools["unlabelled"] = Pool.nested(store, data["unlabelled_clips"], "unlabelled")
    return pools


def fingerprints(pools: dict[str, Pool]) -> dict[str, str]:
    """The content hashes of every store a run trains on."""
    return {
        f"{name}-{i}": store.fingerprint
        for name, pool in pools.items()
        for i, store in enumerate(pool.stores)
    }


def initial_model(spec: dict[str, Any], parsed: RunSpec, output_dir: Path) -> Flow3r:
    """The model at step 0: its weights depend on the seed and the initialisation alone."""
    model = build_model(parsed.model, parsed.formulation, parsed.seed)
    if parsed.initialisation.kind == "pretrain":
        directory = output_dir / "stages" / pretrain_stage(spec).id
        _load_shared(model, load_weights(directory / WEIGHTS), parsed.formulation.name)
    elif parsed.initialisation.kind != "random":
        _load_file(model, parsed)
    return model


def _load_file(model: Flow3r, parsed: RunSpec) -> None:
    """Start from a file of the user's, in one of three layouts."""
    weights = load_weights(Path(parsed.initialisation.weights))
    if parsed.initialisation.kind == "dinov2":
        load_dinov2(model.model, weights)
    elif parsed.initialisation.kind == "pi3":
        head = load_pi3(model.model, weights)
        if head and parsed.formulation.name == "flow-factored":
            _load_strictly(model.formulation.head, head, "the flow-factored head")
    else:
        _load_shared(model, weights, parsed.formulation.name)


def _load_shared(model: Flow3r, weights: dict[str, torch.Tensor], formulation: str) -> None:
    """Backbone and geometry heads from the shared weights; the flow head if it was pretrained."""
    shared = _under(weights, MODEL_PREFIX)
    _load_strictly(model.model, shared, "backbone and geometry heads")
    head = _under(weights, f"heads.{formulation}.")
    if head:
        _load_strictly(model.formulation, head, f"the {formulation} head")


def _under(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _load_strictly(module: torch.nn.Module, state: dict[str, torch.Tensor], what: str) -> None:
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise DataError(f"the initial weights do not fit {what}: {error}") from None


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:<n>`; ConfigError where it is not there."""
    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    if name != "cpu" and not name.startswith("cuda"):
        raise ConfigError(f"runtime.device={name!r} is not valid; choose auto, cpu, cuda, cuda:<n>")
    if name.startswith("cuda") and not available:
        raise ConfigError(
            f"runtime.device={name!r}, but torch sees no CUDA device; use auto or cpu"
        )
    return torch.device(name)
