"""Import of released weights into a model, and export back to the released names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from flow3r.config import require_choice
from flow3r.errors import DataError
from flow3r.formulations.assembled import Flow3r
from flow3r.weights.layouts import (
    FLOW_HEAD,
    OUR_FORMULATION,
    architecture_of,
    left_out,
    recognise,
    released_names,
)
from flow3r.weights.transfer import ImportReport, check_fit, set_weights

PARTS = {
    "confidence": ("conf_decoder.", "conf_head."),
    "flow-head": (FLOW_HEAD, OUR_FORMULATION),
}
"""What a file may lack as a whole, if asked for: pi3's first training stages have no confidence
branch, and pi3 and VGGT no flow head."""


def import_released(
    model: Flow3r, state_dict: Mapping[str, Tensor], may_lack: Iterable[str] = ()
) -> ImportReport:
    """Set the weights of a model from a state dict with the names of released pi3, Flow3r or VGGT.

    Every tensor of the model must be there with its shape, and every tensor there must be used or
    be one of the few that the model has no use for (the report says which). `may_lack` names
    `PARTS` that the state dict may lack as a whole; they are left as they were. Floating point
    numbers of another format are converted to the model's. A model on the meta device takes the
    tensors as they are, without a copy if they have its format. Raises DataError that names the
    first tensors that do not fit; the model is unchanged then.
    """
    may_lack = tuple(may_lack)
    for part in may_lack:
        require_choice("may_lack", part, PARTS)
    layout = recognise(state_dict, "import_released")
    architecture = model.model.config.architecture
    if architecture_of(layout) != architecture:
        raise DataError(f"these are {layout} weights, the model is a {architecture} model")
    names = _expected_names(model)
    unused = left_out(model, state_dict)
    offered = set(state_dict).difference(*unused.values())
    kept = tuple(part for part in may_lack if _lacks(offered, names, PARTS[part]))
    prefixes = tuple(prefix for part in kept for prefix in PARTS[part])
    wanted = {name: ours for name, ours in names.items() if not name.startswith(prefixes)}
    check_fit(state_dict, offered, model, wanted)
    return set_weights(state_dict, model, wanted, layout, unused, kept)


def export_released(model: Flow3r) -> dict[str, Tensor]:
    """The model's tensors under their released names, on the CPU (sharing its memory there).

    pi3 with a flow-factored head has the layout of released Flow3r (with a VGGT backbone the head
    has the same names, which nobody released). The heads of the other formulations are not part of
    any released layout and are left out.
    """
    state = model.state_dict()
    return {name: state[ours].detach().cpu() for name, ours in released_names(model).items()}


def _expected_names(model: Flow3r) -> dict[str, str]:
    """Released name -> our name of every tensor; our own where there is no released one."""
    names = released_names(model)
    unnamed = set(model.state_dict()).difference(names.values())
    return {**names, **{ours: ours for ours in sorted(unnamed)}}


def _lacks(offered: Iterable[str], expected: Iterable[str], part: tuple[str, ...]) -> bool:
    """Whether nothing is offered of a part that is expected."""
    return any(name.startswith(part) for name in expected) and not any(
        name.startswith(part) for name in offered
    )
