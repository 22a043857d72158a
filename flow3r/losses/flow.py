"""Flow loss: robust regression over the pixels seen in both frames."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.data.clip import PairFlow
from flow3r.losses.config import LossConfig
from flow3r.model.outputs import Flow


def flow_loss(flow: Flow, target: PairFlow, config: LossConfig) -> Tensor:
    """sum(C rho) / sum(C) over the batch, rho = sqrt(|error|^2 + epsilon^2) (Charbonnier).

    C is the target's covisibility where the prediction is valid, else 0. Errors are in units of
    max(H, W), so that constants and weight do not depend on the resolution. Zero if nothing is
    covisible. The target's values where C = 0 do not matter (they may be NaN). `flow_weight` is not
    applied.
    """
    height, width = target.target_px.shape[-3:-1]
    weight = target.covisibility.float() * flow.valid
    error = (flow.target_px.float() - target.target_px.float()) / max(height, width)
    x, y = torch.where(weight[..., None] > 0, error, 0.0).unbind(dim=-1)
    rho = (x * x + y * y + config.charbonnier_epsilon**2).sqrt()
    return (weight * rho).sum() / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)
