"""Kind `run`: train one arm with one seed, evaluate it, and record everything."""

from __future__ import annotations

import resource
from collections.abc import Callable

import torch

from experiments.assembly import (
    WEIGHTS,
    choose_device,
    fingerprints,
    initial_model,
    open_pools,
)
from experiments.provenance import environment, git_state
from experiments.recording import Recorder
from experiments.rundir import RunDirectory
from experiments.scoring import Validation, evaluate_run
from experiments.spec import RunSpec, parse_spec
from flow3r.data.mixing import BatchPlan
from flow3r.data.pool import Pool
from flow3r.files import read_json, write_json
from flow3r.formulations.assembled import Flow3r
from flow3r.training.batches import BatchLoader
from flow3r.training.checkpoint import save_weights
from flow3r.training.loop import Trainer
from flow3r.training.supervision import RunObjective


def work(directory: RunDirectory, content: dict, stop: Callable[[], bool]) -> bool:
    """Train and evaluate; False when stopped after a checkpoint."""
    spec, runtime = content["spec"], content["runtime"]
    parsed = parse_spec(spec)
    device = choose_device(runtime["device"])
    pools = open_pools(spec, directory.output_dir)
    model = initial_model(spec, parsed, directory.output_dir).to(device)
    _write_provenance(directory, model, pools, device)
    validation = Validation(model, spec, parsed, directory.output_dir, device)
    recorder = Recorder(
        directory, runtime, stop, validation.metrics, parsed.evaluation.validation_every
    )
    state = recorder.resume(parsed.training.total_steps)
    trainer = Trainer(
        RunObjective(model, parsed.loss, parsed.training.precision),
        _loader(parsed, pools, device),
        parsed.training,
        recorder.hooks(),
    )
    if not trainer.fit(state):
        return False
    save_weights(model, directory.path / "checkpoint" / WEIGHTS)
    directory.update(stage="evaluate", step=parsed.training.total_steps)
    _write_memory(directory, device)
    return evaluate_run(directory, spec, parsed, model, device, stop, on_progress=directory.update)


def _loader(parsed: RunSpec, pools: dict[str, Pool], device: torch.device) -> BatchLoader:
    plan = BatchPlan(parsed.batch, parsed.seed, {name: len(p) for name, p in pools.items()})
    given = parsed.formulation.options.get("intrinsics") == "given"
    augmentation = parsed.training.augmentation
    return BatchLoader(plan, pools, augmentation, device, calibrated=given)


def _write_provenance(
    directory: RunDirectory, model: Flow3r, pools: dict[str, Pool], device: torch.device
) -> None:
    write_json(
        directory.path / "provenance.json",
        {
            **git_state(),
            **environment(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "data_fingerprints": fingerprints(pools),
            "parameters": {
                "backbone": _count(model.model.backbone),
                "heads": _count(model.model) - _count(model.model.backbone),
                "flow_head": _count(model.formulation),
            },
        },
    )


def _count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _write_memory(directory: RunDirectory, device: torch.device) -> None:
    """Add the peak memory of training to the provenance: device memory, or resident on a CPU."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    path = directory.path / "provenance.json"
    write_json(path, {**read_json(path), "peak_memory_bytes": peak})
