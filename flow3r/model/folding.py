"""A transposed convolution and the 3x3 convolution after it, as one transposed convolution.

Between the two there is no nonlinearity (in a DPT head: a level's enlargement and its lateral
convolution), so they are one linear map. Done one after the other, the 3x3 convolution runs at the
enlarged resolution and meets the same token up to 16 times. The folded kernel is two wider than the
transposed one: at paper size 36 products per token and channel pair instead of 160.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

FEWEST_CHANNELS = 64
"""With fewer channels a head's time goes into calls and copies, not into products."""


@dataclass(frozen=True)
class FoldedEnlargement:
    """Enlarges [F, Cin, h, w] to [F, Cout, s*h, s*w]."""

    weight: Tensor  # [Cin, Cout, s + 2, s + 2]
    border: Tensor  # [Cout, 3, 3], what the first bias becomes at corners, edges and inside
    stride: int

    def __call__(self, maps: Tensor) -> Tensor:
        enlarged = functional.conv_transpose2d(maps, self.weight, stride=self.stride, padding=1)
        rows, columns = (_border_index(side, maps.device) for side in enlarged.shape[-2:])
        return enlarged + self.border[:, rows][:, :, columns]


def folding_pays(enlarge: nn.Module, lateral: nn.Conv2d, tokens: int) -> bool:
    """Whether folding and the folded kernel cost fewer products than the two layers."""
    if not isinstance(enlarge, nn.ConvTranspose2d) or enlarge.in_channels < FEWEST_CHANNELS:
        return False
    side = enlarge.stride[0]
    first = enlarge.in_channels * enlarge.out_channels
    last = lateral.in_channels * lateral.out_channels
    apart = side**2 * (first + 9 * last)  # per token
    together = (side + 2) ** 2 * enlarge.in_channels * lateral.out_channels
    folding = 9 * side**2 * first * lateral.out_channels
    return tokens * (apart - together) > folding


def fold(enlarge: nn.ConvTranspose2d, lateral: nn.Conv2d) -> FoldedEnlargement:
    """`lateral(enlarge(x))` as one map, differentiable in both layers' parameters.

    `enlarge` has stride = kernel size; `lateral` is 3x3 with padding 1 and no bias.
    """
    side = enlarge.stride[0]
    # Tap (d, e) of the second kernel moves what it sees by (1 - d, 1 - e).
    taps = lateral.weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2)  # [Cout*9, C]
    products = taps @ enlarge.weight.transpose(0, 1).flatten(1)  # [Cout*9, Cin*s*s]
    products = products.unflatten(1, (-1, side**2)).transpose(0, 1)  # [Cin, Cout*9, s*s]
    weight = functional.fold(products, (side + 2, side + 2), kernel_size=3)
    constant = enlarge.bias[None, :, None, None].expand(1, -1, 3, 3)
    border = functional.conv2d(constant, lateral.weight, padding=1)[0]
    return FoldedEnlargement(weight, border, side)


def _border_index(side: int, device: torch.device) -> Tensor:
    """[side]: 0 for the first place, 2 for the last, 1 in between."""
    index = torch.ones(side, dtype=torch.int64, device=device)
    index[0], index[-1] = 0, 2
    return index
