"""Scale alignment in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.geometry.precision import never_half


@never_half
@torch.no_grad()
def optimal_scale(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The scale s that minimises sum_k weight_k |s * prediction_k - target_k|_1, per item.

    prediction and target [B, K, 3], weight [B, K] >= 0, result [B]. Each coordinate contributes
    w|p| |s - g/p|, so s is the weighted median of the ratios g/p with weights w|p| (pi3's ROE
    solver without truncation). Found exactly by one sort. An item without any weight gives 1.

    Not differentiable by intent: at the minimiser the objective's slope in s is zero (its
    subdifferential contains zero), so a loss of this form has the same gradient with s held
    constant.
    """
    mass = (prediction.abs() * weight[..., None]).flatten(1)  # [B, 3K]
    # g/0 is infinite or NaN; it sorts to an end and has no mass, so it is never chosen.
    ratio, order = (target / prediction).flatten(1).sort(dim=1)
    cumulative = mass.gather(1, order).cumsum(dim=1)
    total = cumulative[:, -1:]
    index = torch.searchsorted(cumulative, total / 2).clamp_max(ratio.shape[1] - 1)
    median = ratio.gather(1, index)
    return torch.where(total > 0, median, 1.0)[:, 0]
