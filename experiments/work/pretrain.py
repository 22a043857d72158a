"""Stage `pretrain`: the initial weights that every arm and seed share."""

from __future__ import annotations

from collections.abc import Callable

import torch

from experiments.acceleration import accelerate
from experiments.assembly import WEIGHTS, choose_device, open_dataset
from experiments.recording import Recorder
from experiments.rundir import RunDirectory
from experiments.threads import threads
from flow3r.config import from_mapping
from flow3r.data.mixing import BatchPlan
from flow3r.data.pool import Pool
from flow3r.formulations.registry import create_formulation
from flow3r.model.config import ModelConfig
from flow3r.model.reconstruction import create_reconstruction
from flow3r.streams import stream_seed
from flow3r.training.batches import BatchLoader
from flow3r.training.checkpoint import save_weights
from flow3r.training.loop import Trainer
from flow3r.training.prefetch import loading
from flow3r.training.pretrain import PretrainConfig, PretrainModel, PretrainObjective

NEVER = 2**62


def work(directory: RunDirectory, content: dict, stop: Callable[[], bool]) -> bool:
    """Train on source clips; False when stopped (it continues where it was)."""
    spec, runtime = content["spec"], content["runtime"]
    config = from_mapping(PretrainConfig, spec["pretrain"])
    device = choose_device(runtime["device"])
    module = _build(from_mapping(ModelConfig, spec["model"]), config).to(device)
    accelerate(module, config.training, runtime, device)
    source = Pool.whole([open_dataset(d, directory.output_dir) for d in spec["source"]])
    plan = BatchPlan(
        config.batch, config.seed, {"source": len(source), "labelled": 0, "unlabelled": 0}
    )
    loader = BatchLoader(plan, {"source": source}, config.training.augmentation, device)
    recorder = Recorder(directory, runtime, stop, validate=lambda alive: {}, validation_every=NEVER)
    state = recorder.resume(config.training.total_steps)
    workers, end = runtime.get("workers", 0), config.training.total_steps
    with threads(config.threads), loading(loader, workers, end) as batches:
        objective = PretrainObjective(module, config)
        complete = Trainer(objective, batches, config.training, recorder.hooks()).fit(state)
    if not complete:
        return False
    save_weights(module, directory.path / WEIGHTS)
    return True


def _build(model_config: ModelConfig, config: PretrainConfig) -> PretrainModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(config.seed, "pretrain"))
        model = create_reconstruction(model_config)
        sizes = model_config.latents
        heads = {f.name: create_formulation(f.name, f.options, sizes) for f in config.formulations}
        return PretrainModel(model, heads, config.projection)
