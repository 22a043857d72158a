"""Initial weights that come with the code: what the pretrain stage of the same id once made.

A folder per stage, `pretrained/<stage id>/`, with `weights.safetensors` and `card.json`: the whole
spec, what the training cost, by which code and on which machine. As the id depends on the model,
the recipe and the data, a study with other settings pretrains for itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow3r.errors import DataError
from flow3r.files import read_json

if TYPE_CHECKING:
    from torch import Tensor

PRETRAINED = Path(__file__).resolve().parent / "pretrained"
WEIGHTS, CARD = "weights.safetensors", "card.json"


def is_shipped(stage_id: str) -> bool:
    """Whether the weights of a pretrain stage come with the code."""
    return (PRETRAINED / stage_id / CARD).exists()


def shipped_card(stage_id: str) -> dict[str, Any]:
    """How the weights were made."""
    return read_json(PRETRAINED / stage_id / CARD)


def shipped_weights(stage_id: str, spec: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors by name; DataError where the card tells of another spec than the stage's."""
    if shipped_card(stage_id)["spec"] != spec:
        raise DataError(
            f"{PRETRAINED / stage_id / CARD} has another spec than the stage of that id: the "
            "folder was changed or renamed; runtime.shipped_weights=false pretrains instead"
        )
    from flow3r.weights.files import read_weights  # torch: planning asks for `is_shipped` alone

    return read_weights(PRETRAINED / stage_id / WEIGHTS)
