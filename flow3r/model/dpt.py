"""The DPT head that turns patch tokens of several depths into a dense map (DPT; via VGGT).

The released flow head has four levels at x4, x2, x1 and /2 of the patch grid; a small model has
fewer levels and a ladder of its own. Two quirks are kept on purpose:

- the released residual unit uses an in-place ReLU, so its skip carries relu(x), not x;
- a sin-cos embedding of image coordinates is added after the 1x1 projections and again before the
  last convolutions, each time scaled by 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

EMBEDDING_GAIN = 0.1
EMBEDDING_BASE = 100.0

_RESIZE_LAYERS = {
    4.0: lambda c: nn.ConvTranspose2d(c, c, 4, stride=4),
    2.0: lambda c: nn.ConvTranspose2d(c, c, 2, stride=2),
    1.0: lambda c: nn.Identity(),
    0.5: lambda c: nn.Conv2d(c, c, 3, stride=2, padding=1),
}
RESIZE_FACTORS = tuple(_RESIZE_LAYERS)


class ResidualConvUnit(nn.Module):
    """relu(x) + conv2(relu(conv1(relu(x)))): the released unit including its in-place ReLU."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(x)
        return x + self.conv2(functional.relu(self.conv1(x)))


class FusionBlock(nn.Module):
    """RefineNet fusion: add the lateral map, refine, enlarge, 1x1 convolution."""

    def __init__(self, features: int, lateral: bool) -> None:
        super().__init__()
        self.resConfUnit1 = ResidualConvUnit(features) if lateral else None
        self.resConfUnit2 = ResidualConvUnit(features)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(self, x: Tensor, lateral: Tensor | None, size: tuple[int, int]) -> Tensor:
        if self.resConfUnit1 is not None:
            x = x + self.resConfUnit1(lateral)
        return self.out_conv(_enlarge(self.resConfUnit2(x), size))


@dataclass(frozen=True)
class DptSizes:
    """The channels and resolutions of a DPT head, shallowest level first."""

    width: int
    """Channels of the tokens."""
    features: int
    """Channels of every fused map; a multiple of 8."""
    out_channels: tuple[int, ...]
    """Channels of each level's projection; multiples of 4."""
    ladder: tuple[float, ...]
    """Resolution of each level relative to the patch grid, out of RESIZE_FACTORS."""
    hidden: int
    """Channels before the last 1x1 convolution."""
    outputs: int


class DptHead(nn.Module):
    """Tokens of one or more levels to a map with `outputs` channels and no activation."""

    def __init__(self, sizes: DptSizes) -> None:
        super().__init__()
        out_channels, features, hidden = sizes.out_channels, sizes.features, sizes.hidden
        levels = len(out_channels)
        self.projects = nn.ModuleList(nn.Conv2d(sizes.width, c, 1) for c in out_channels)
        self.resize_layers = nn.ModuleList(
            _RESIZE_LAYERS[factor](c) for factor, c in zip(sizes.ladder, out_channels)
        )
        self.scratch = nn.Module()
        for level, channels in enumerate(out_channels, start=1):
            lateral = nn.Conv2d(channels, features, 3, padding=1, bias=False)
            self.scratch.add_module(f"layer{level}_rn", lateral)
            fusion = FusionBlock(features, lateral=level < levels)
            self.scratch.add_module(f"refinenet{level}", fusion)
        self.scratch.output_conv1 = nn.Conv2d(features, features // 2, 3, padding=1)
        self.scratch.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, sizes.outputs, 1),
        )

    def forward(
        self, levels: Sequence[Tensor], grid: tuple[int, int], image_size: tuple[int, int]
    ) -> Tensor:
        """Tokens [F, h*w, C] of every level -> [F, outputs, H, W]."""
        pyramid = [
            self._lateral(index, tokens, grid, image_size) for index, tokens in enumerate(levels)
        ]
        fused = None
        for index in reversed(range(len(pyramid))):
            x = pyramid[index] if fused is None else fused
            lateral = None if fused is None else pyramid[index]
            if index > 0:
                size = tuple(pyramid[index - 1].shape[-2:])
            else:
                size = tuple(2 * side for side in x.shape[-2:])
            fused = self.scratch.get_submodule(f"refinenet{index + 1}")(x, lateral, size)
        out = _enlarge(self.scratch.output_conv1(fused), image_size)
        return self.scratch.output_conv2(_add_coordinates(out, image_size))

    def _lateral(
        self, index: int, tokens: Tensor, grid: tuple[int, int], image_size: tuple[int, int]
    ) -> Tensor:
        maps = tokens.transpose(1, 2).unflatten(2, grid)
        maps = _add_coordinates(self.projects[index](maps), image_size)
        maps = self.resize_layers[index](maps)
        return self.scratch.get_submodule(f"layer{index + 1}_rn")(maps)


def coordinate_embedding(
    channels: int, size: tuple[int, int], image_size: tuple[int, int], device: torch.device
) -> Tensor:
    """[channels, h, w] sin-cos embedding [sin x | cos x | sin y | cos y] of image coordinates.

    x spans +-a/sqrt(a^2+1) * (w-1)/w and y spans +-1/sqrt(a^2+1) * (h-1)/h, with a the image's
    aspect W/H; frequencies 100^(-k / (channels/4)); computed in double precision.
    """
    height, width = size
    aspect = image_size[1] / image_size[0]
    diagonal = (aspect**2 + 1.0) ** 0.5
    x_limit = aspect / diagonal * (width - 1) / width
    y_limit = 1.0 / diagonal * (height - 1) / height
    options = {"dtype": torch.float64, "device": device}
    quarter = channels // 4
    omega = EMBEDDING_BASE ** -(torch.arange(quarter, **options) / quarter)
    x = torch.linspace(-x_limit, x_limit, width, **options)[None, None, :] * omega[:, None, None]
    y = torch.linspace(-y_limit, y_limit, height, **options)[None, :, None] * omega[:, None, None]
    parts = [x.sin(), x.cos(), y.sin(), y.cos()]
    return torch.cat([part.expand(quarter, height, width) for part in parts]).float()


def _add_coordinates(maps: Tensor, image_size: tuple[int, int]) -> Tensor:
    size = (maps.shape[-2], maps.shape[-1])
    embedding = coordinate_embedding(maps.shape[1], size, image_size, maps.device)
    return maps + EMBEDDING_GAIN * embedding


def _enlarge(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=True)
