"""Import of a DINOv2 encoder, in its authors' names or in timm's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from flow3r.model.base import ReconstructionModel
from flow3r.weights.transfer import ImportReport, check_fit, set_weights

UNUSED = "mask_token"


def import_dinov2(model: ReconstructionModel, state_dict: Mapping[str, Tensor]) -> ImportReport:
    """Set the patch encoder, and it alone, from a DINOv2 ViT with registers; as strict as
    `import_released`.

    Our blocks compute what timm's `vit_*_patch14_reg4_dinov2` do, positions resized or not.
    """
    state_dict = _without_timm_names(state_dict)
    encoder = model.backbone.encoder
    unused = {UNUSED: [UNUSED]} if UNUSED in state_dict else {}
    wanted = {name: name for name in encoder.state_dict()}
    check_fit(state_dict, set(state_dict) - set(unused), encoder, wanted)
    return set_weights(state_dict, encoder, wanted, "dinov2", unused, ("all but the encoder",))


def _without_timm_names(state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """timm adds the class token's position to the token and keeps positions of patches only."""
    if "reg_token" not in state_dict:
        return state_dict
    renamed = {name: value for name, value in state_dict.items() if name != "reg_token"}
    positions = renamed["pos_embed"]  # [1, L, C]
    none = torch.zeros_like(positions[:, :1])
    return {
        **renamed,
        "register_tokens": state_dict["reg_token"],
        "pos_embed": torch.cat([none, positions], dim=1),
    }
