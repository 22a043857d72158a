"""Both backbones under all four formulations: who gets a gradient, and two steps of training."""

import pytest
import torch

from flow3r.data.clip import LabelledClips, PairFlow
from flow3r.data.pairs import ordered_pairs
from flow3r.formulations.assembled import Flow3r, build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.losses.flow import flow_loss
from flow3r.losses.total import LossConfig, supervised_loss
from flow3r.model.config import pi3_smoke, vggt_smoke

BACKBONES = {"pi3": pi3_smoke, "vggt": vggt_smoke}
FOUR = ("3d-sup", "flow-factored", "flow-projective", "flow-tracking")
SIZE = 32

# The design's table, in names of parts of the model: what a flow loss reaches besides the
# backbone and the formulation's own head.
LATENT_PARTS = {
    "pi3": (
        *("point_decoder.projects", "point_decoder.blocks"),
        *("camera_decoder.projects", "camera_decoder.blocks"),
    ),
    "vggt": (),
}
DECODED_PARTS = {
    "pi3": ("point_decoder", "camera_decoder", "point_head", "camera_head"),
    "vggt": ("depth_head", "camera_head"),
}
REACHED = {
    "flow-factored": LATENT_PARTS,
    "flow-projective": DECODED_PARTS,
    "flow-tracking": {"pi3": (), "vggt": ()},
}


def reaches(formulation: str, backbone: str, name: str) -> bool:
    owner, _, inner = name.partition(".")
    if owner == "formulation" or inner.startswith("backbone."):
        return True
    return inner.startswith(tuple(f"{part}." for part in REACHED[formulation][backbone]))


def clips() -> LabelledClips:
    pairs = ordered_pairs(3)
    target = SIZE * torch.rand(2, len(pairs), SIZE, SIZE, 2)
    poses = torch.eye(4).repeat(2, 3, 1, 1)
    poses[..., :3, 3] = 0.2 * torch.randn(2, 3, 3)
    intrinsics = torch.tensor([[30.0, 0, 15.5], [0, 30, 15.5], [0, 0, 1]]).repeat(2, 3, 1, 1)
    return LabelledClips(
        images=torch.rand(2, 3, 3, SIZE, SIZE),
        depth=1 + torch.rand(2, 3, SIZE, SIZE),
        intrinsics=intrinsics,
        world_from_camera=poses,
        flow=PairFlow(pairs, target, torch.ones(target.shape[:-1])),
    )


def build(backbone: str, formulation: str) -> Flow3r:
    return build_model(BACKBONES[backbone](), FormulationConfig(formulation), seed=0)


def gradients(model: Flow3r) -> dict[str, torch.Tensor | None]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
@pytest.mark.parametrize("formulation", FOUR[1:])
def test_a_flow_loss_reaches_exactly_the_parameters_of_the_table(formulation, backbone):
    model, batch = build(backbone, formulation), clips()
    with torch.no_grad():  # a layer that starts at zero would hide the path behind it
        for parameter in model.formulation.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    prediction = model(batch.images, batch.flow.pairs)
    flow_loss(prediction.flow, batch.flow, LossConfig()).backward()
    for name, gradient in gradients(model).items():
        assert (gradient is not None) == reaches(formulation, backbone, name), name
        assert gradient is None or gradient.isfinite().all(), name
        assert gradient is None or gradient.abs().sum() > 0, name


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_the_3d_losses_reach_every_parameter_of_the_model(backbone):
    model, batch = build(backbone, "3d-sup"), clips()
    supervised_loss(model(batch.images).geometry, batch, LossConfig())["total"].backward()
    for name, gradient in gradients(model).items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
        assert gradient.abs().sum() > 0, name


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
@pytest.mark.parametrize("formulation", FOUR)
def test_two_steps_move_every_parameter(formulation, backbone):
    model, batch = build(backbone, formulation), clips()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(2):
        prediction = model(batch.images, batch.flow.pairs)
        loss = supervised_loss(prediction.geometry, batch, LossConfig())["total"]
        if prediction.flow is not None:
            loss = loss + flow_loss(prediction.flow, batch.flow, LossConfig())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert loss.isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), name
        assert not torch.equal(parameter, before[name]), name
