"""Import of our own files: what a run, or the pretrain stage, leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from flow3r.formulations.assembled import Flow3r
from flow3r.weights.layouts import OUR_FORMULATION, OUR_MODEL, recognise
from flow3r.weights.transfer import ImportReport, check_fit, set_weights


def import_own(
    model: Flow3r, state_dict: Mapping[str, Tensor], may_lack: Iterable[str] = ()
) -> ImportReport:
    """Set the weights of a model from a file of ours: of a run, or of the pretrain stage.

    As strict as `import_released`. Flow heads of other formulations are left out; with
    `may_lack=("flow-head",)` the model's head may be absent and then stays as it was.
    """
    layout = recognise(state_dict, "import_own")
    head = OUR_FORMULATION if layout == "run" else f"heads.{model.formulation.name}."
    names = {
        head + ours.removeprefix(OUR_FORMULATION)
        if ours.startswith(OUR_FORMULATION)
        else ours: ours
        for ours in model.state_dict()
    }
    own_head = {name for name in names if name.startswith(head)}
    its_head = {name for name in state_dict if name.startswith(head)}
    kept = ("flow-head",) if own_head and "flow-head" in may_lack and its_head != own_head else ()
    if kept:
        names = {name: ours for name, ours in names.items() if name not in own_head}
    spare = its_head if kept or not own_head else set()
    unused: dict[str, list[str]] = {}
    for name in state_dict:
        if name in spare or not name.startswith((OUR_MODEL, head)):
            part = name.split(".")[: 2 if name.startswith("heads.") else 1]
            unused.setdefault(".".join(part), []).append(name)
    check_fit(state_dict, set(state_dict).difference(*unused.values()), model, names)
    return set_weights(state_dict, model, names, layout, unused, kept)
