"""Setting a module's weights from a state dict with other names: strict, and accounted for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flow3r.errors import DataError


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
    """Parts of the model that the file lacks: they are as they were before."""

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


def check_fit(
    state_dict: Mapping[str, Tensor],
    offered: Collection[str],
    module: nn.Module,
    wanted: Mapping[str, str],
) -> None:
    """Raise DataError unless what is offered is wanted (name there -> name in the module)."""
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
def set_weights(
    state_dict: Mapping[str, Tensor],
    module: nn.Module,
    wanted: Mapping[str, str],
    layout: str,
    unused: Mapping[str, list[str]],
    kept: tuple[str, ...],
) -> ImportReport:
    """Set the tensors `wanted` (name in the state dict -> name in the module), which must fit.

    Those on the meta device are replaced, the others overwritten in place. `layout`, `unused` and
    `kept` are for the report.
    """
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
