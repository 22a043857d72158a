"""The rule that stands in for released weights: every tensor from its name and its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

SEED = 1
UNTOUCHED = ("image_mean", "image_std")
DAMPED = ("point_head.proj", "conf_head.proj")
"""Flow3r only: the last layers before an exponential."""


@torch.no_grad()
def fill_by_rule(
    tensors: Mapping[str, Tensor], absent: Iterable[str] = (), damped: tuple[str, ...] = ()
) -> None:
    """Fill tensors in place, by their released names.

    The place of a name in the sorted list of all names seeds its numbers; `absent` are released
    names without a tensor here, which take part in the list. `damped` prefixes get a tenth.
    """
    for place, name in enumerate(sorted({*tensors, *absent})):
        if name in tensors and name not in UNTOUCHED:
            tensor = tensors[name]
            generator = torch.Generator().manual_seed(SEED * 100003 + place)
            tensor.copy_(_value(name, torch.randn(tensor.shape, generator=generator)))
            if damped and name.startswith(damped):
                tensor.mul_(0.1)


def _value(name: str, r: Tensor) -> Tensor:
    if name.endswith(".gamma"):
        return 0.3 + 0.05 * r
    if r.ndim == 1:
        return 1 + 0.1 * r if name.endswith("weight") else 0.02 * r
    if "token" in name or "pos_embed" in name:
        return 0.02 * r
    transposed = "resize_layers" in name and r.shape[-1] in (2, 4)
    fan_in = r.shape[0] if transposed else r[0].numel()
    return r / fan_in**0.5
