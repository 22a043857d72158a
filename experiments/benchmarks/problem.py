"""Inputs of the right shape: models, images, clips, latents. Seeded; contents mean nothing."""

from __future__ import annotations

from typing import Any

import torch
import yaml
from torch import Tensor

from experiments.benchmarks.settings import Settings
from experiments.compose import CONFIGS, choices
from flow3r.config import from_mapping, require, require_choice
from flow3r.data.clip import LabelledClips, PairFlow
from flow3r.formulations.assembled import Flow3r, build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.geometry.camera import pixel_grid
from flow3r.geometry.rotation import rotation_from_nine
from flow3r.geometry.se3 import make_transform
from flow3r.model.config import ModelConfig


def model_config(settings: Settings) -> Any:
    """The sizes of the named model; ConfigError lists the names, or says what fits the patches."""
    require_choice("model", settings.model, choices("model"))
    text = (CONFIGS / "model" / f"{settings.model}.yaml").read_text(encoding="utf-8")
    config = from_mapping(ModelConfig, yaml.safe_load(text))
    require(
        settings.size % config.patch_size == 0,
        f"size={settings.size} must be a multiple of the patch size {config.patch_size}",
    )
    return config


def build(settings: Settings) -> Flow3r:
    """The assembled model on the device, with its own initial weights."""
    formulation = FormulationConfig(settings.formulation, {})
    return build_model(model_config(settings), formulation, seed=0).to(settings.device)


def decoder_sizes(config: Any) -> Any:
    """The width, heads and registers of the alternating attention, whatever the backbone."""
    return config.decoder if config.architecture == "pi3" else config.aggregator


def generator() -> torch.Generator:
    """Inputs are drawn on the CPU, so that every device gets the same."""
    return torch.Generator().manual_seed(0)


def images(settings: Settings) -> Tensor:
    """[B, N, 3, H, W]."""
    shape = (settings.batch, settings.frames, 3, settings.size, settings.size)
    return torch.rand(shape, generator=generator()).to(settings.device)


def pairs(settings: Settings) -> Tensor:
    """[P, 2]."""
    ordered = torch.tensor(settings.ordered_pairs(), dtype=torch.int64).reshape(-1, 2)
    return ordered.to(settings.device)


def clips(settings: Settings) -> LabelledClips:
    """Labelled clips with depth and covisibility everywhere."""
    draw, side = generator(), settings.size
    count, frames, device = settings.batch, settings.frames, settings.device
    nine = torch.eye(3).flatten() + 0.1 * torch.randn(count, frames, 9, generator=draw)
    shift = torch.randn(count, frames, 3, generator=draw)
    camera = torch.tensor([[side, 0, side / 2], [0, side, side / 2], [0, 0, 1.0]])
    ordered = pairs(settings)
    shape = (count, len(ordered), side, side)
    target = pixel_grid(side, side) + 4 * torch.randn(*shape, 2, generator=draw)
    return LabelledClips(
        images=images(settings),
        depth=(1 + torch.rand(count, frames, side, side, generator=draw)).to(device),
        intrinsics=camera.repeat(count, frames, 1, 1).to(device),
        world_from_camera=make_transform(rotation_from_nine(nine), shift).to(device),
        flow=PairFlow(ordered, target.to(device), torch.ones(shape, device=device)),
    )


def tokens(settings: Settings, count: int, width: int) -> Tensor:
    """[B, N, count, width], standard normal."""
    shape = (settings.batch, settings.frames, count, width)
    return torch.randn(shape, generator=generator()).to(settings.device)
