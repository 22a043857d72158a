"""How pi3 changes the look of its training frames: colour jitter, loss of sharpness, JPEG.

Ranges and probabilities are those of pi3's training configuration; every frame draws its own. The
order is fixed (there it is random for the colours): brightness, contrast, saturation, hue, gamma,
sharpness, JPEG. Everything is computed on the batch's device, frames together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flow3r.config import require

_LUMA = (0.299, 0.587, 0.114)
_LEVELS = 8
"""Steps of the reduction whose loss of sharpness is drawn: frames of one step go together."""
_BLOCK = 8
_LUMINANCE = """
16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101
72 92 95 98 112 100 103 99
"""
_CHROMINANCE = (
    """
17 18 24 47 99 99 99 99  18 21 26 66 99 99 99 99  24 26 56 99 99 99 99 99  47 66 99 99 99 99 99 99
"""
    + "99 " * 32
)
"""Quantisation tables of the JPEG standard (ITU-T T.81, annex K)."""


@dataclass(frozen=True)
class AppearanceConfig:
    """Shares are probabilities per frame."""

    jitter: float = 0.3
    """Factors of brightness, contrast, saturation and gamma are drawn from 1 -+ this."""
    hue: float = 0.1
    """Largest turn of the hue, as a share of the circle."""
    blur_share: float = 0.5
    blur_ratio: tuple[float, float] = (0.25, 1.0)
    """The frame is reduced to this share of its sides and enlarged again."""
    jpeg_share: float = 0.5
    jpeg_quality: tuple[int, int] = (20, 100)

    def __post_init__(self) -> None:
        require(0 <= self.jitter < 1, f"jitter={self.jitter} must lie in [0, 1)")
        require(0 <= self.hue <= 0.5, f"hue={self.hue} must lie in [0, 0.5]")
        for name in ("blur_share", "jpeg_share"):
            require(0 <= getattr(self, name) <= 1, f"{name}={getattr(self, name)} is no share")
        low, high = self.blur_ratio
        require(0 < low <= high <= 1, f"blur_ratio={self.blur_ratio} must be 0 < low <= high <= 1")
        low, high = self.jpeg_quality
        require(1 <= low <= high <= 100, f"jpeg_quality={self.jpeg_quality}: 1 <= low <= high")


def change_appearance(
    images: Tensor,  # [K, 3, H, W] in [0, 1]
    config: AppearanceConfig,
    draws: Tensor,  # [K, DRAWS] uniform in [0, 1), on the CPU
) -> Tensor:  # [K, 3, H, W] in [0, 1]
    """The frames with another look; the same draws give the same look."""
    on_device = draws.to(images.device)
    images = _colours(images, config, on_device[:, :5])
    images = _softened(images, config, draws[:, 5:7])
    return _jpeg(images, config, draws[:, 7:9])


DRAWS = 9
"""Uniform numbers that a frame needs."""


def _colours(images: Tensor, config: AppearanceConfig, draws: Tensor) -> Tensor:
    factor = 1 + (2 * draws[:, :4, None, None, None] - 1) * config.jitter  # [K, 4, 1, 1, 1]
    brightness, contrast, saturation, gamma = factor.unbind(1)
    images = (images * brightness).clamp(0, 1)
    mean = _luma(images).mean((-2, -1), keepdim=True)
    images = (mean + (images - mean) * contrast).clamp(0, 1)
    grey = _luma(images)
    images = (grey + (images - grey) * saturation).clamp(0, 1)
    images = _turned(images, (2 * draws[:, 4] - 1) * (2 * math.pi * config.hue)).clamp(0, 1)
    # The gradient of a power is infinite at 0; images carry none, but NaN must not appear either.
    return images.clamp_min(1e-6) ** gamma


def _luma(images: Tensor) -> Tensor:
    """[K, 1, H, W]"""
    red, green, blue = images.split(1, dim=1)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def _turned(images: Tensor, angle: Tensor) -> Tensor:
    """The hue turned: a rotation of the two chroma axes, the luma stays."""
    y, u, v = _chroma(images)
    cos, sin = (f(angle)[:, None, None, None] for f in (torch.cos, torch.sin))
    return _rgb(y, cos * u - sin * v, sin * u + cos * v)


def _chroma(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """JPEG's Y, Cb, Cr with chroma around 0, [K, 1, H, W] each."""
    y = _luma(images)
    red, _, blue = images.split(1, dim=1)
    return y, (blue - y) / 1.772, (red - y) / 1.402


def _rgb(y: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
    red, blue = y + 1.402 * cr, y + 1.772 * cb
    green = (y - _LUMA[0] * red - _LUMA[2] * blue) / _LUMA[1]
    return torch.cat([red, green, blue], dim=1)


def _softened(images: Tensor, config: AppearanceConfig, draws: Tensor) -> Tensor:
    """Reduced and enlarged again; the reduction is rounded to one of `_LEVELS` steps."""
    low, high = config.blur_ratio
    step = (draws[:, 1] * _LEVELS).floor() / max(_LEVELS - 1, 1)
    ratio = torch.where(draws[:, 0] < config.blur_share, low + (high - low) * step, 1.0)
    height, width = images.shape[-2:]
    images = images.clone()
    for value in ratio.unique().tolist():
        size = max(1, round(height * value)), max(1, round(width * value))
        if size == (height, width):
            continue
        own = (ratio == value).nonzero()[:, 0].to(images.device)
        small = F.interpolate(images[own], size, mode="bilinear", antialias=True)
        images[own] = F.interpolate(small, (height, width), mode="bilinear").clamp(0, 1)
    return images


def _jpeg(images: Tensor, config: AppearanceConfig, draws: Tensor) -> Tensor:
    """What quantising the cosine transform of 8 x 8 blocks leaves of those that are chosen.

    Without the reduction of the chroma's resolution, which encoders may leave out as well.
    """
    own = (draws[:, 0] < config.jpeg_share).nonzero()[:, 0]
    if not len(own):
        return images
    low, high = config.jpeg_quality
    quality = low + (draws[own, 1] * (high - low + 1)).floor()
    # libjpeg's scaling of the tables by the quality.
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    own, scale = own.to(images.device), scale.to(images.device)
    planes = (torch.cat(_chroma(images[own]), dim=1) * 255).round()
    tables = [[float(v) for v in text.split()] for text in (_LUMINANCE, *(_CHROMINANCE,) * 2)]
    table = torch.tensor(tables, device=images.device).view(1, 3, 1, 1, _BLOCK, _BLOCK)
    table = (table * scale.view(-1, 1, 1, 1, 1, 1) + 0.5).floor().clamp(1, 255)
    middle = planes.new_tensor([128.0, 0, 0])[:, None, None]  # samples are coded around zero
    coded = (_blockwise(planes - middle, table) + middle) / 255
    images = images.clone()
    images[own] = _rgb(*coded.split(1, dim=1)).clamp(0, 1).to(images.dtype)
    return images


def _blockwise(planes: Tensor, table: Tensor) -> Tensor:
    """Planes [K, 3, H, W] after quantising the cosine transform of every block."""
    height, width = planes.shape[-2:]
    missing = (-width % _BLOCK, -height % _BLOCK)
    padded = F.pad(planes, (0, missing[0], 0, missing[1]), mode="replicate")
    blocks = padded.unflatten(-2, (-1, _BLOCK)).unflatten(-1, (-1, _BLOCK)).transpose(-3, -2)
    basis = _cosines(planes)
    coefficients = basis @ blocks @ basis.mT
    kept = (coefficients / table).round() * table
    restored = (basis.mT @ kept @ basis).transpose(-3, -2).flatten(-2).flatten(-3, -2)
    return restored[..., :height, :width]


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal cosine transform of 8 values, [8, 8]."""
    n = torch.arange(_BLOCK, device=like.device, dtype=like.dtype)
    basis = torch.cos(math.pi / _BLOCK * (n[None] + 0.5) * n[:, None]) * math.sqrt(2 / _BLOCK)
    basis[0] /= math.sqrt(2)
    return basis
