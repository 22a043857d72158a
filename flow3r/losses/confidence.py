"""Confidence loss: does the logit say whether the point is right?"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from flow3r.losses.alignment import Target
from flow3r.losses.config import LossConfig
from flow3r.losses.reduction import Total, alone


def confidence_loss(
    logits: Tensor,  # [B, N, H, W]
    errors: Tensor,  # [B, N, H, W], of `point_errors`
    target: Target,
    config: LossConfig,
    total: Total = alone,
) -> Tensor:
    """Binary cross-entropy on the valid pixels; the label is errors < config.confidence_error.

    pi3 adds a term that pulls sky pixels to zero, found by a segmentation network; labels without
    depth are not known to be sky here, so it is left out.
    """
    label = (errors.detach() < config.confidence_error).to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(
        logits, label, weight=target.valid, reduction="sum"
    )
    return entropy / total(target.count.sum()).clamp_min(1)
