"""Kind `run`: train one arm with one seed, evaluate it, and record everything."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from experiments.acceleration import accelerate
from experiments.adoption import adopted_seconds
from experiments.assembly import (
    WEIGHTS,
    device_name,
    fingerprints,
    initial_model,
    open_pools,
)
from experiments.mixture import pool_sizes
from experiments.processes import SINGLE, Team
from experiments.provenance import environment, git_diff, git_state, weights_digest
from experiments.recording import Recorder, last_checkpoint, pause_reached, silent_hooks
from experiments.rundir import RunDirectory
from experiments.scoring import Validation, evaluate_run
from experiments.spec import RunSpec, parse_spec
from flow3r.data.mixing import WHOLE, BatchConfig, BatchPlan, Share
from flow3r.data.pool import Pool
from flow3r.files import read_json, write_json, write_text
from flow3r.formulations.assembled import Flow3r, build_model
from flow3r.training.batches import BatchLoader
from flow3r.training.checkpoint import save_weights
from flow3r.training.distributed import Group
from flow3r.training.flops import training_flops
from flow3r.training.loop import Trainer
from flow3r.training.prefetch import loading
from flow3r.training.supervision import RunObjective


def work(
    directory: RunDirectory, content: dict, stop: Callable[[], bool], team: Team = SINGLE
) -> bool:
    """Train and evaluate; False when stopped after a checkpoint.

    Every process of the team trains; the first one records and evaluates.
    """
    spec = content["spec"]
    parsed = parse_spec(spec)
    device = team.device(content["runtime"]["device"])
    with team.group(device) as group:
        model = _train(directory, content, parsed, device, stop, group)
    if model is None or group.rank:
        return model is not None
    save_weights(model, directory.path / "checkpoint" / WEIGHTS)
    directory.update(stage="evaluate", step=parsed.training.total_steps)
    _write_memory(directory, device)
    return _evaluate(directory, spec, parsed, model, device, stop)


def _evaluate(
    directory: RunDirectory,
    spec: dict,
    parsed: RunSpec,
    model: Flow3r,
    device: torch.device,
    stop: Callable[[], bool],
) -> bool:
    before, began = directory.status["evaluate_seconds"], time.monotonic()

    def note_time() -> None:
        directory.update(evaluate_seconds=before + time.monotonic() - began)

    complete = evaluate_run(directory, spec, parsed, model, device, stop, on_progress=note_time)
    note_time()
    return complete


def _train(
    directory: RunDirectory,
    content: dict,
    parsed: RunSpec,
    device: torch.device,
    stop: Callable[[], bool],
    group: Group,
) -> Flow3r | None:
    """The trained model, whole in the first process; None when stopped after a checkpoint."""
    spec, runtime = content["spec"], content["runtime"]
    pools = open_pools(spec, directory.output_dir, runtime)
    model = initial_model(spec, parsed, directory.output_dir).to(device)
    seconds = adopted_seconds(directory)
    own = group.rank == 0 and seconds is None
    flops = _flops(parsed, pools, model, device) if own else None
    accelerate(model, parsed.training, runtime, device)
    validation = Validation(model, spec, parsed, directory.output_dir, device)
    every = parsed.evaluation.validation_every
    if group.rank:
        state = last_checkpoint(directory)
        hooks = silent_hooks(runtime, stop, validation.metrics, every)
    else:
        if own:
            _write_provenance(directory, model, pools, device, group, flops)
        else:
            directory.update(train_seconds=seconds)
        recorder = Recorder(directory, runtime, stop, validation.metrics, every, pausing=True)
        state, hooks = recorder.resume(parsed.training.total_steps), recorder.hooks()
    if state is not None and pause_reached(runtime, state.step):
        return None
    objective = RunObjective(model, parsed.loss, parsed.training.precision, group.total)
    loader = _loader(parsed, pools, device, group.share)
    workers = runtime.get("workers", 0)
    with loading(loader, workers, parsed.training.total_steps) as batches:
        trainer = Trainer(objective, batches, parsed.training, hooks, group)
        if not trainer.fit(state):
            return None
    return trainer.model.whole(
        lambda: build_model(parsed.model, parsed.formulation, parsed.seed).to(device)
    )


def _flops(parsed: RunSpec, pools: dict[str, Pool], model: Flow3r, device: torch.device) -> int:
    pairs = parsed.batch.pairs
    small = BatchConfig(replay=0, labelled=1, flexible=1, filler_replay_share=0.0, pairs=pairs)
    batch = _loader(replace(parsed, batch=small), pools, device, WHOLE).step(0)
    objective = RunObjective(model, parsed.loss, parsed.training.precision)
    return training_flops(objective, batch, parsed.batch, parsed.training)


def _loader(
    parsed: RunSpec, pools: dict[str, Pool], device: torch.device, share: Share
) -> BatchLoader:
    sizes = pool_sizes(parsed.data.recorded, pools, parsed.data.unlabelled_weights)
    plan = BatchPlan(parsed.batch, parsed.seed, sizes, share)
    given = parsed.formulation.options.get("intrinsics") == "given"
    augmentation = parsed.training.augmentation
    return BatchLoader(plan, pools, augmentation, device, calibrated=given)


def _write_provenance(
    directory: RunDirectory,
    model: Flow3r,
    pools: dict[str, Pool],
    device: torch.device,
    group: Group,
    flops: int | None,
) -> None:
    if git_state()["git_dirty"]:
        write_text(directory.path / "uncommitted.diff", git_diff() + "\n")
    write_json(
        directory.path / "provenance.json",
        {
            **git_state(),
            **environment(),
            "device": device_name(device),
            "threads": torch.get_num_threads(),
            "processes": group.size,
            "parallel": group.strategy if group.size > 1 else None,
            "data_fingerprints": fingerprints(pools),
            "train_flops": flops,
            "initial_weights": weights_digest(model.model.state_dict()),
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
    if adopted_seconds(directory) is not None:
        return
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    path = directory.path / "provenance.json"
    write_json(path, {**read_json(path), "peak_memory_bytes": peak})
