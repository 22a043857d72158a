"""Which pixels not to trust."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def depth_edges(depth: Tensor, tolerance: float) -> Tensor:
    """Bool [N, H, W]: depths [N, H, W] > 0 within 3 x 3 pixels span more than `tolerance` of the
    pixel's own (the rule of pi3's demo, from MoGe).
    """
    far = functional.max_pool2d(depth, 3, stride=1, padding=1)
    near = -functional.max_pool2d(-depth, 3, stride=1, padding=1)
    return (far - near) > tolerance * depth
