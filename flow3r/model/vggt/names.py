"""The names of VGGT's released tensors, for the parameters of `VggtModel`."""

from __future__ import annotations

UNUSED_PREFIXES = ("track_head.",)
"""Released parts that this model does not have: dense flow comes from the formulations."""
UNUSED = ("aggregator.patch_embed.mask_token",)
"""Released tensors without an effect on the outputs."""

_PREFIXES = (
    ("backbone.encoder.", "aggregator.patch_embed."),
    ("backbone.", "aggregator."),
)


def released_name(name: str) -> str:
    """Our parameter's name -> the released one."""
    for ours, released in _PREFIXES:
        if name.startswith(ours):
            return released + name.removeprefix(ours)
    return name
