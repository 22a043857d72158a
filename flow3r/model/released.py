"""Weights that others released, in their own layouts, for models of the same sizes.

- `pi3`: the state dict of released pi3 or Flow3r. Its names are ours without the leading
  `backbone.`; the flow head, if it is there, is `flow_head.`.
- `dinov2`: the state dict of a DINOv2 ViT with registers: the encoder alone.

Only names are translated. A tensor that is missing, left over or of another shape is an error.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from flow3r.errors import DataError
from flow3r.model.reconstruction import ReconstructionModel

FLOW_HEAD = "flow_head."
OPTIONAL_PREFIXES = ("conf_decoder.", "conf_head.")
"""pi3's first training stages have no confidence branch."""
DINOV2_UNUSED = ("mask_token",)


def load_pi3(model: ReconstructionModel, released: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Load backbone and geometry heads; returns the flow head's tensors, which may be none.

    Raises DataError naming the first tensors that do not fit.
    """
    head = {k.removeprefix(FLOW_HEAD): v for k, v in released.items() if k.startswith(FLOW_HEAD)}
    rest = {k: v for k, v in released.items() if not k.startswith(FLOW_HEAD)}
    ours = model.state_dict()
    names = {name.removeprefix("backbone."): name for name in ours}
    _check(rest, {short: ours[name] for short, name in names.items()}, OPTIONAL_PREFIXES)
    model.load_state_dict({names[k]: v for k, v in rest.items()}, strict=False)
    return head


def load_dinov2(model: ReconstructionModel, released: Mapping[str, Tensor]) -> None:
    """Load the patch encoder. Raises DataError naming the first tensors that do not fit."""
    rest = {k: v for k, v in released.items() if k not in DINOV2_UNUSED}
    encoder = model.backbone.encoder
    _check(rest, encoder.state_dict(), ())
    encoder.load_state_dict(rest)


def _check(
    released: Mapping[str, Tensor], ours: Mapping[str, Tensor], optional: tuple[str, ...]
) -> None:
    missing = sorted(k for k in set(ours) - set(released) if not k.startswith(optional))
    unknown = sorted(set(released) - set(ours))
    misshapen = sorted(
        f"{k} {tuple(released[k].shape)} instead of {tuple(ours[k].shape)}"
        for k in set(ours) & set(released)
        if released[k].shape != ours[k].shape
    )
    for what, names in (("missing", missing), ("unknown", unknown), ("misshapen", misshapen)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise DataError(f"released weights: {what}: {', '.join(names[:3])}{more}")
