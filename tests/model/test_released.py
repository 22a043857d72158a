"""Translating released state dicts."""

import pytest
import torch

from flow3r.errors import DataError
from flow3r.model.config import DecoderConfig, EncoderConfig, Pi3Config, TaskDecoderConfig
from flow3r.model.pi3.model import Pi3Model
from flow3r.model.released import load_dinov2, load_pi3

CONFIG = Pi3Config(
    patch_size=7,
    encoder=EncoderConfig(16, 1, 2, 3),
    decoder=DecoderConfig(16, 2, 2),
    tasks=TaskDecoderConfig(16, 2, 2, 16, levels=(0, 1)),
)


def released(model: Pi3Model) -> dict[str, torch.Tensor]:
    return {k.removeprefix("backbone."): v.clone() for k, v in model.state_dict().items()}


@pytest.fixture
def models():
    torch.manual_seed(1)
    return Pi3Model(CONFIG), Pi3Model(CONFIG)


def test_every_tensor_is_used(models):
    source, target = models
    head = load_pi3(target, {**released(source), "flow_head.mlp.0.weight": torch.ones(2)})
    for name, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[name]), name
    assert list(head) == ["mlp.0.weight"]


def test_the_released_names_are_the_layout_of_the_paper(models):
    names = set(released(models[0]))
    assert {
        "encoder.cls_token",
        "encoder.patch_embed.proj.weight",
        "decoder.0.attn.q_norm.weight",
        "register_token",
        "point_decoder.projects.weight",
        "camera_head.fc_rot.weight",
        "image_mean",
    } <= names


def test_pi3_without_a_confidence_branch_loads(models):
    source, target = models
    without = {k: v for k, v in released(source).items() if not k.startswith("conf_")}
    before = target.conf_head.proj.weight.clone()
    load_pi3(target, without)
    assert torch.equal(target.conf_head.proj.weight, before)
    assert torch.equal(target.point_head.proj.weight, source.point_head.proj.weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("register_token"), "missing: register_token"),
        (lambda s: s.update(extra=torch.ones(1)), "unknown: extra"),
        (lambda s: s.update(register_token=torch.ones(1)), r"misshapen: register_token \(1,\)"),
    ],
)
def test_what_does_not_fit_is_named(models, change, message):
    state = released(models[0])
    change(state)
    with pytest.raises(DataError, match=message):
        load_pi3(models[1], state)


def test_dinov2_fills_the_encoder_only(models):
    source, target = models
    state = dict(source.backbone.encoder.state_dict())
    before = target.point_head.proj.weight.clone()
    load_dinov2(target, {**state, "mask_token": torch.zeros(1, 16)})
    for name, value in state.items():
        assert torch.equal(value, target.backbone.encoder.state_dict()[name])
    assert torch.equal(target.point_head.proj.weight, before)
