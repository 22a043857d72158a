"""Point loss: weighted L1 between aligned local points and labels."""

from __future__ import annotations

from torch import Tensor

from flow3r.losses.alignment import Aligned, Target
from flow3r.losses.reduction import Total, alone


def point_errors(prediction: Aligned, target: Target) -> Tensor:
    """[B, N, H, W] mean over x, y, z of w |p - g| with w = 1/z; zero where invalid."""
    x, y, z = (prediction.points - target.points).abs()
    return (x + y + z) * (target.weight / 3)


def points_loss(errors: Tensor, target: Target, total: Total = alone) -> Tensor:
    """Mean of `point_errors` over the valid pixels of the batch; zero without any (pi3)."""
    return errors.sum() / total(target.count.sum()).clamp_min(1)
