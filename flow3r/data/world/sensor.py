"""What a camera does to the light: exposure, white balance, vignetting, noise."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.data.world.config import WorldConfig
from flow3r.streams import numpy_generator, torch_generator


def gains(config: WorldConfig, seed: int, index: int) -> Tensor:
    """Linear gain per frame and channel [N, 3] (exposure and white balance)."""
    rng = numpy_generator(seed, f"world/{config.domain}/sensor", index)
    stops = rng.uniform(-config.exposure, config.exposure)
    stops = stops + rng.normal(size=config.frames) * config.exposure_drift
    balance = rng.normal(size=3) * config.white_balance * (1.0, 0.0, 1.0)
    return torch.from_numpy(2.0 ** stops[:, None] * torch.tensor(balance).exp().numpy()).float()


def vignette(config: WorldConfig, pixels: Tensor) -> Tensor:
    """Relative light [R] at `pixels` [2, R]: 1 in the centre, 1 - vignetting in the corners."""
    x = (pixels[0] - (config.width - 1) / 2) / (config.width / 2)
    y = (pixels[1] - (config.height - 1) / 2) / (config.height / 2)
    return 1.0 - config.vignetting * 0.5 * (x * x + y * y)


def add_noise(images: Tensor, config: WorldConfig, seed: int, index: int) -> Tensor:
    """Images [N, 3, H, W] with sensor noise (stronger in the light, as photons arrive), clamped."""
    if config.noise == 0:
        return images.clamp(0.0, 1.0)
    generator = torch_generator(seed, f"world/{config.domain}/noise", index)
    draw = torch.randn(images.shape, generator=generator).to(images.device)
    return (images + config.noise * (0.5 + images) * draw).clamp_(0.0, 1.0)
