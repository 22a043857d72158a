"""Flow loss: robust regression over the pixels seen in both frames."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.data.clip import PairFlow
from flow3r.geometry.precision import at_least_float32
from flow3r.losses.config import LossConfig
from flow3r.losses.reduction import Total, alone
from flow3r.model.outputs import Flow

_FAR = 1e6
"""Labels beyond this many pixels are cut."""


def flow_loss(flow: Flow, target: PairFlow, config: LossConfig, total: Total = alone) -> Tensor:
    """sum(C rho) / sum(C) over the batch, rho = sqrt(|error|^2 + epsilon^2) (Charbonnier).

    C is the target's covisibility where the prediction is valid, else 0. Errors are in units of
    max(H, W), so that constants and weight do not depend on the resolution. Zero if nothing is
    covisible. The label where C = 0 does not matter (it may be NaN); the prediction must be finite
    everywhere. `flow_weight` is not applied.
    """
    height, width = target.target_px.shape[-3:-1]
    weight = at_least_float32(target.covisibility) * flow.valid
    predicted, label = at_least_float32(flow.target_px), at_least_float32(target.target_px)
    # A label of weight zero may hold anything; infinite times zero would be NaN.
    label = label.nan_to_num(0.0, 0.0, 0.0).clamp(-_FAR, _FAR)
    x, y = ((predicted - label) / max(height, width)).unbind(dim=-1)
    rho = torch.addcmul(x * x + config.charbonnier_epsilon**2, y, y).sqrt()
    return (weight * rho).sum() / total(weight.sum()).clamp_min(torch.finfo(weight.dtype).tiny)
