"""Whose weights a file holds, told by the names in it, and how those are our names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from flow3r.errors import DataError
from flow3r.formulations.assembled import Flow3r
from flow3r.model.vggt import names as vggt_names

FLOW_HEAD = "flow_head."
"""Prefix of the flow-factored head, which released Flow3r has. Ours is the module `head` of the
formulation; the other formulations' heads were never released and have no released names."""
OUR_MODEL = "model."
OUR_FORMULATION = "formulation."
OUR_FLOW_HEAD = OUR_FORMULATION + "head."

MARKS = {
    "vggt": ("aggregator.",),
    "flow3r": ("point_decoder.", FLOW_HEAD),
    "pi3": ("point_decoder.",),
    "dinov2": ("patch_embed.", "pos_embed"),
}
"""Beginnings of names that tell a released layout, from the most special one to the least."""
OWN = {"run": OUR_FORMULATION, "pretrain": "heads."}
"""Our own files: beside `model.` the formulation of a run, or the heads of the pretrain stage."""

_UNUSED = {
    "pi3": ("encoder.mask_token",),
    "vggt": (*vggt_names.UNUSED, *vggt_names.UNUSED_PREFIXES),
}


def recognise(names: Collection[str], where: str = "these weights") -> str:
    """The layout of a state dict: one of `MARKS` or `OWN`.

    Raises DataError that says what was found for an unknown one.
    """
    for layout, marks in MARKS.items():
        if all(_begins(names, mark) for mark in marks):
            return layout
    if _begins(names, OUR_MODEL):
        return "pretrain" if _begins(names, OWN["pretrain"]) else "run"
    first = ", ".join(sorted(names)[:3])
    raise DataError(
        f"{where}: unknown layout, {len(names)} tensors such as {first}; known are released "
        f"{list(MARKS)} and this repository's own"
    )


def _begins(names: Collection[str], mark: str) -> bool:
    return any(name.startswith(mark) for name in names)


def architecture_of(layout: str) -> str:
    """The model family whose released layout it is."""
    return "pi3" if layout == "flow3r" else layout


def released_names(model: Flow3r) -> dict[str, str]:
    """Released name -> our name, for everything that a released file may hold for this model."""
    rename = _pi3_name if model.model.config.architecture == "pi3" else vggt_names.released_name
    names = {}
    for ours in model.state_dict():
        if ours.startswith(OUR_MODEL):
            names[rename(ours.removeprefix(OUR_MODEL))] = ours
        elif has_flow_head(model) and ours.startswith(OUR_FLOW_HEAD):
            names[FLOW_HEAD + ours.removeprefix(OUR_FLOW_HEAD)] = ours
    return names


def has_flow_head(model: Flow3r) -> bool:
    """Whether the model has the head that released Flow3r has."""
    return model.formulation.name == "flow-factored"


def left_out(model: Flow3r, names: Iterable[str]) -> dict[str, list[str]]:
    """Released tensors that the model has no use for: reason -> names."""
    unused = _UNUSED[model.model.config.architecture]
    reasons: dict[str, list[str]] = {}
    for name in names:
        if name.startswith(unused):
            part = name.partition(".")[0] if name.startswith("track_head.") else name
            reasons.setdefault(part, []).append(name)
        elif name.startswith(FLOW_HEAD) and not has_flow_head(model):
            reason = f"flow_head (the formulation is {model.formulation.name})"
            reasons.setdefault(reason, []).append(name)
    return reasons


def _pi3_name(ours: str) -> str:
    return ours.removeprefix("backbone.")
