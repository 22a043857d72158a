"""From a spec to the objects of a run: stores, pools, initial weights, devices."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from experiments.mixture import labelled_pool, source_pool, unlabelled_pool
from experiments.spec import FROM_FILE, RunSpec
from experiments.stages import dataset_stage, pretrain_stage, store_folder
from flow3r.data.pool import ClipSource, Pool
from flow3r.data.store import ClipStore
from flow3r.errors import ConfigError
from flow3r.formulations.assembled import Flow3r, build_model
from flow3r.weights.build import build_with_weights, unmap
from flow3r.weights.dinov2 import import_dinov2
from flow3r.weights.files import read_weights
from flow3r.weights.own import import_own
from flow3r.weights.released import PARTS, import_released
from flow3r.weights.transfer import ImportReport

WEIGHTS = "weights.pt"


def open_dataset(dataset: dict[str, Any], output_dir: Path) -> ClipStore:
    """The finished store of a generated data set."""
    return ClipStore.open(output_dir / "stages" / dataset_stage(dataset).id / "clips")


def open_pools(spec: dict[str, Any], output_dir: Path, runtime: dict[str, Any]) -> dict[str, Pool]:
    """The pools `source`, `labelled` and `unlabelled` of a run."""
    data = spec["data"]
    return {
        "source": source_pool(data, output_dir),
        "labelled": labelled_pool(data, output_dir),
        "unlabelled": unlabelled_pool(data, output_dir, store_folder(runtime, output_dir)),
    }


def fingerprints(pools: dict[str, Pool]) -> dict[str, str]:
    """The content hashes of every store a run trains on; recorded ones are named."""
    return {
        f"{name}-{i}{_dataset(store)}": store.fingerprint
        for name, pool in pools.items()
        for i, store in enumerate(pool.stores)
    }


def _dataset(store: ClipSource) -> str:
    recorded = getattr(store, "provenance", {}).get("recorded")
    return f"-{recorded['dataset']}" if recorded else ""


def initial_model(spec: dict[str, Any], parsed: RunSpec, output_dir: Path) -> Flow3r:
    """The model at step 0: its weights depend on the seed and the initialisation alone."""
    model, report = initial_weights(spec, parsed, output_dir)
    if parsed.initialisation.kind in FROM_FILE:
        print(report, flush=True)
    return unmap(model)


def initial_weights(
    spec: dict[str, Any], parsed: RunSpec, output_dir: Path
) -> tuple[Flow3r, ImportReport | None]:
    """The model at step 0, and what became of the tensors of the file that it starts from, if any.

    A file may lack a flow head, and pi3's the confidence branch: these start as drawn.
    """
    initialisation = parsed.initialisation
    if initialisation.kind == "random":
        return build_model(parsed.model, parsed.formulation, parsed.seed), None
    path = Path(initialisation.weights)
    if initialisation.kind == "pretrain":
        path = output_dir / "stages" / pretrain_stage(spec).id / WEIGHTS
    weights = read_weights(path)
    build = partial(
        build_with_weights, parsed.model, parsed.formulation, parsed.seed, where=str(path)
    )
    if initialisation.kind in ("pretrain", "weights"):
        return build(transfer=lambda model: import_own(model, weights, may_lack=("flow-head",)))
    if initialisation.kind == "dinov2":
        return build(transfer=lambda model: import_dinov2(model.model, weights))
    return build(transfer=lambda model: import_released(model, weights, may_lack=tuple(PARTS)))


def device_name(device: torch.device) -> str:
    """What a record calls it: the GPU's name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


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
