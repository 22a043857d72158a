"""Released layouts: names and shapes at full size, and telling one from the other."""

import hashlib

import pytest
import torch

import flow3r
from flow3r.errors import DataError
from flow3r.library.presets import preset_of
from flow3r.model.config import PRESETS
from flow3r.weights.layouts import recognise, released_names


@pytest.mark.parametrize(
    ("name", "formulation", "tensors", "digest"),
    [
        ("pi3-large", "flow-factored", 1278, "3b96cde8a6ed4028"),
        ("vggt-large", "3d-sup", 1402, "9765a84bc077049f"),  # without track head and mask token
    ],
)
def test_names_and_shapes_are_those_of_the_released_files(name, formulation, tensors, digest):
    """The digests are of the lists of names and shapes of the public state dicts."""
    state = on_meta(name, formulation)
    lines = [f"{k} {'x'.join(map(str, v.shape))}" for k, v in sorted(state.items())]
    assert len(lines) == tensors
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == digest
    assert preset_of(state, "x") == name


def on_meta(name, formulation):
    """The released state dict of a preset, without memory."""
    with torch.device("meta"):
        model = flow3r.create_model(name, formulation)
    state = model.state_dict()
    return {name: state[ours] for name, ours in released_names(model).items()}


@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"pi3-large", "vggt-large"}))
def test_sizes_are_recognised_with_and_without_a_flow_head(preset):
    state = on_meta(preset, "flow-factored")
    assert preset_of(state, "x") == preset
    assert recognise(state) == ("flow3r" if preset.startswith("pi3") else "vggt")
    state = on_meta(preset, "3d-sup")
    assert preset_of(state, "x") == preset
    assert recognise(state) == preset.partition("-")[0]


def test_own_files_are_told_apart():
    assert recognise(["model.a", "formulation.head.b"]) == "run"
    assert recognise(["model.a"]) == "run"  # a formulation may have no weights
    assert recognise(["model.a", "heads.flow-factored.b", "match.weight"]) == "pretrain"
    assert recognise(["cls_token", "pos_embed", "patch_embed.proj.weight"]) == "dinov2"
    with pytest.raises(
        DataError, match=r"x\.pt: unknown layout, 2 tensors such as a, b; known are"
    ):
        recognise(["b", "a"], "x.pt")
