"""The DPT head that turns patch tokens of several depths into a dense map (DPT; via VGGT).

The released flow head has four levels at x4, x2, x1 and /2 of the patch grid; a small model has
fewer levels and a ladder of its own. Two quirks are kept on purpose:

- the released residual unit uses an in-place ReLU, so its skip carries relu(x), not x;
- a sin-cos embedding of image coordinates is added after the 1x1 projections and again before the
  last convolutions, each time scaled by 0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow3r.model.folding import FEWEST_CHANNELS, fold, folding_pays

CACHE_BYTES = 32 * 2**20
"""About the last-level cache of a CPU: more at once would go through main memory at every step."""
DEVICE_BYTES = 2**30
"""Elsewhere: enough to fill an accelerator."""
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
        return self.conv2(self.conv1(x).relu_()).add_(x)


class FusionBlock(nn.Module):
    """RefineNet fusion: add the lateral map, refine, enlarge, 1x1 convolution.

    A 1x1 convolution and a bilinear enlargement may change places, and the convolution is four
    times cheaper before it.
    """

    def __init__(self, features: int, lateral: bool) -> None:
        super().__init__()
        self.resConfUnit1 = ResidualConvUnit(features) if lateral else None
        self.resConfUnit2 = ResidualConvUnit(features)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(self, x: Tensor, lateral: Tensor | None, size: tuple[int, int]) -> Tensor:
        if self.resConfUnit1 is not None:
            x = x + self.resConfUnit1(lateral)
        x = self.resConfUnit2(x)
        if self.out_conv.in_channels < FEWEST_CHANNELS:
            return self.out_conv(_enlarge(x, size))
        return _enlarge(self.out_conv(x), size)


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
        """Tokens [F, h*w, C] of every level -> [F, outputs, H, W].

        Without gradients a few maps at a time: what lies between is many times as large as tokens
        and result, and stays in a CPU's cache.
        """
        count = levels[0].shape[0]
        laterals = [self._lateral(index, count, grid, image_size) for index in range(len(levels))]
        channels = self.scratch.output_conv1.out_channels
        coordinates = _coordinates(channels, image_size, image_size, levels[0].device)
        step = at_once(count, coordinates)
        parts = zip(*(tokens.split(step) for tokens in levels))
        maps = [
            self._decode([lateral(t) for lateral, t in zip(laterals, part)], coordinates)
            for part in parts
        ]
        return maps[0] if len(maps) == 1 else torch.cat(maps)

    def _decode(self, pyramid: Sequence[Tensor], coordinates: Tensor) -> Tensor:
        """Laterals of every level and the embedding of the pixels -> [F, outputs, H, W]."""
        fused = None
        for index in reversed(range(len(pyramid))):
            x = pyramid[index] if fused is None else fused
            lateral = None if fused is None else pyramid[index]
            if index > 0:
                size = tuple(pyramid[index - 1].shape[-2:])
            else:
                size = tuple(2 * side for side in x.shape[-2:])
            fused = self.scratch.get_submodule(f"refinenet{index + 1}")(x, lateral, size)
        out = _enlarge(self.scratch.output_conv1(fused), tuple(coordinates.shape[-2:]))
        last = self.scratch.output_conv2
        return last[2](last[0](out.add_(coordinates)).relu_())

    def _lateral(
        self, index: int, count: int, grid: tuple[int, int], image_size: tuple[int, int]
    ) -> Callable[[Tensor], Tensor]:
        """A function: tokens [f, h*w, C] of a level -> its lateral map [f, features, ., .].

        `count`: how many token maps it is going to be used for.
        """
        project, enlarge = self.projects[index], self.resize_layers[index]
        lateral = self.scratch.get_submodule(f"layer{index + 1}_rn")
        device = project.weight.device
        coordinates = _coordinates(project.out_channels, grid, image_size, device)
        folds = folding_pays(enlarge, lateral, count * grid[0] * grid[1])
        resize = fold(enlarge, lateral) if folds else lambda maps: lateral(enlarge(maps))
        return lambda tokens: resize(
            project(tokens.transpose(1, 2).unflatten(2, grid)).add_(coordinates)
        )


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
    parts = [part.float() for part in (x.sin(), x.cos(), y.sin(), y.cos())]
    return torch.cat([part.expand(quarter, height, width) for part in parts])


def _coordinates(
    channels: int, size: tuple[int, int], image_size: tuple[int, int], device: torch.device
) -> Tensor:
    return EMBEDDING_GAIN * coordinate_embedding(channels, size, image_size, device)


def at_once(count: int, largest: Tensor) -> int:
    """How many of `count` independent parts to compute together; `largest` is as large as the
    largest thing that one part leaves behind. All of them if gradients will need what they leave.
    """
    if torch.is_grad_enabled():
        return max(1, count)
    budget = CACHE_BYTES if largest.device.type == "cpu" else DEVICE_BYTES
    return max(1, budget // (largest.numel() * largest.element_size()))


def _enlarge(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=True)
