"""Strict import of released weights into a model, and export back to the released names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flow3r.config import require_choice
from flow3r.errors import DataError
from flow3r.formulations.assembled import Flow3r
from flow3r.model.base import ReconstructionModel
from flow3r.weights.layouts import (
    FLOW_HEAD,
    OUR_FORMULATION,
    OUR_MODEL,
    architecture_of,
    left_out,
    recognise,
    released_names,
)

PARTS = {
    "confidence": ("conf_decoder.", "conf_head."),
    "flow-head": (FLOW_HEAD, OUR_FORMULATION),
}
"""What a file may lack as a whole, if asked for: pi3's first training stages have no confidence
branch, and pi3 and VGGT no flow head."""
DINOV2_UNUSED = "mask_token"


@dataclass(frozen=True)
class ImportReport:
    """What became of every tensor of an import."""

    layout: str
    tensors: int
    elements: int
    converted: tuple[str, ...]
    """Conversions of number formats, such as 'bfloat16 to float32'."""
    left_out: dict[str, int]
    """Part of the file that the model has no use for -> number of tensors."""
    kept: tuple[str, ...]
    """Parts of the model, out of `PARTS`, that the file lacks: they are as they were before."""

    def __str__(self) -> str:
        text = f"Imported {self.tensors} tensors with {self.elements:,} numbers ({self.layout})"
        text += f", converted from {' and '.join(self.converted)}. " if self.converted else ". "
        if self.left_out:
            parts = [f"{part}, {count} tensors" for part, count in self.left_out.items()]
            text += f"Left out on purpose: {'; '.join(parts)}. "
        else:
            text += "Nothing is left over. "
        if self.kept:
            text += f"Not there, hence as before: {', '.join(self.kept)}."
        else:
            text += "Every tensor of the model was set."
        return text


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
    _check(state_dict, offered, model, wanted)
    return _transfer(state_dict, model, wanted, layout, unused, kept)


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
    _check(state_dict, set(state_dict).difference(*unused.values()), model, names)
    return _transfer(state_dict, model, names, layout, unused, kept)


def import_dinov2(model: ReconstructionModel, state_dict: Mapping[str, Tensor]) -> ImportReport:
    """Set the patch encoder, and it alone, from a DINOv2 ViT; as strict as `import_released`."""
    encoder = model.backbone.encoder
    unused = {DINOV2_UNUSED: [DINOV2_UNUSED]} if DINOV2_UNUSED in state_dict else {}
    wanted = {name: name for name in encoder.state_dict()}
    _check(state_dict, set(state_dict) - set(unused), encoder, wanted)
    return _transfer(state_dict, encoder, wanted, "dinov2", unused, ("all but the encoder",))


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


def _check(
    state_dict: Mapping[str, Tensor],
    offered: Collection[str],
    module: nn.Module,
    wanted: Mapping[str, str],
) -> None:
    """Raise DataError unless what is offered is what is wanted (released name -> our name)."""
    ours = module.state_dict()
    both = sorted(set(wanted) & set(offered))
    problems = {
        "missing": sorted(set(wanted) - set(offered)),
        "unknown": sorted(set(offered) - set(wanted)),
        "misshapen": [
            f"{name} {tuple(state_dict[name].shape)} instead of {tuple(ours[wanted[name]].shape)}"
            for name in both
            if state_dict[name].shape != ours[wanted[name]].shape
        ],
        "not floating point": [n for n in both if not state_dict[n].is_floating_point()],
    }
    found = [f"{what}: {_some(names)}" for what, names in problems.items() if names]
    if found:
        raise DataError("the weights do not fit the model; " + "; ".join(found))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


@torch.no_grad()
def _transfer(
    state_dict: Mapping[str, Tensor],
    module: nn.Module,
    wanted: Mapping[str, str],
    layout: str,
    unused: Mapping[str, list[str]],
    kept: tuple[str, ...],
) -> ImportReport:
    ours = module.state_dict()
    conversions: dict[str, None] = {}
    for name, our_name in wanted.items():
        value, target = state_dict[name], ours[our_name]
        if value.dtype != target.dtype:
            conversions[f"{_format(value)} to {_format(target)}"] = None
        if target.is_meta:
            _replace(module, our_name, value.to(target.dtype))
        else:
            target.copy_(value)
    return ImportReport(
        layout=layout,
        tensors=len(wanted),
        elements=sum(state_dict[name].numel() for name in wanted),
        converted=tuple(conversions),
        left_out={part: len(names) for part, names in unused.items()},
        kept=kept,
    )


def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    module.get_submodule(owner).load_state_dict({leaf: value}, strict=False, assign=True)


def _format(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
