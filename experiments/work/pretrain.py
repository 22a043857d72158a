"""Stage `pretrain`: the initial weights that every arm and seed share.

Where they come with the code they are taken from there, whatever the machine: then every study
with these settings starts from the same bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from experiments.acceleration import accelerate
from experiments.assembly import WEIGHTS, choose_device, device_name, fingerprints, open_dataset
from experiments.provenance import environment, git_state
from experiments.recording import Recorder
from experiments.rundir import RunDirectory
from experiments.shipped import CARD, PRETRAINED, is_shipped, shipped_card, shipped_weights
from experiments.threads import threads
from flow3r.config import from_mapping
from flow3r.data.mixing import BatchPlan
from flow3r.data.pool import Pool
from flow3r.files import write_json
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
    if runtime.get("shipped_weights", True) and is_shipped(content["id"]):
        _take(directory, content["id"], spec, config)
        return True
    device = choose_device(runtime["device"])
    module = _build(from_mapping(ModelConfig, spec["model"]), config).to(device)
    accelerate(module, config.training, runtime, device)
    source = Pool.whole([open_dataset(d, directory.output_dir) for d in spec["source"]])
    plan = BatchPlan(
        config.batch, config.seed, {"source": len(source), "labelled": 0, "unlabelled": 0}
    )
    loader = BatchLoader(plan, {"source": source}, config.training.augmentation, device)
    _write_provenance(directory, source, device)
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


def _take(directory: RunDirectory, stage: str, spec: dict, config: PretrainConfig) -> None:
    """The weights that came with the code, and where they come from."""
    module, card = _build(from_mapping(ModelConfig, spec["model"]), config), shipped_card(stage)
    module.load_state_dict(shipped_weights(stage, spec))
    print(f"weights of {card['made'][:10]} that come with the code: {PRETRAINED / stage}")
    save_weights(module, directory.path / WEIGHTS)
    write_json(directory.path / CARD, card)


def _write_provenance(directory: RunDirectory, source: Pool, device: torch.device) -> None:
    write_json(
        directory.path / "provenance.json",
        {
            **git_state(),
            **environment(),
            "device": device_name(device),
            "data_fingerprints": fingerprints({"source": source}),
        },
    )


def _build(model_config: ModelConfig, config: PretrainConfig) -> PretrainModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(config.seed, "pretrain"))
        model = create_reconstruction(model_config)
        sizes = model_config.latents
        heads = {f.name: create_formulation(f.name, f.options, sizes) for f in config.formulations}
        return PretrainModel(model, heads, config.projection)
