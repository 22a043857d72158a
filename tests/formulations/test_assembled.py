"""The assembled model: equal starts, the published size, who gets a gradient from a flow loss."""

import pytest
import torch

from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.model.config import pi3_large, pi3_study
from flow3r.streams import stream_seed

FOUR = ("3d-sup", "flow-factored", "flow-projective", "flow-tracking")


def test_the_released_size_to_the_parameter():
    with torch.device("meta"):
        model = build_model(pi3_large(), FormulationConfig("flow-factored"), seed=0)
    assert sum(p.numel() for p in model.parameters()) == 1_001_053_694
    assert sum(p.numel() for p in model.formulation.parameters()) == 42_356_962
    assert len(model.formulation.head.state_dict()) == 68
    assert len(model.state_dict()) == 1278


def test_backbone_and_geometry_heads_are_bit_identical_in_every_formulation(build):
    states = [build(name).model.state_dict() for name in FOUR]
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(state[name], states[0][name]) for name in state)


def test_the_seed_decides_everything_and_the_global_state_is_untouched(build):
    before = torch.random.get_rng_state()
    first, again, other = build("flow-factored"), build("flow-factored"), build("flow-factored", 1)
    assert torch.equal(before, torch.random.get_rng_state())
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    for part in ("model.point_head.proj.weight", "formulation.head.mlp.0.weight"):
        assert not torch.equal(first.state_dict()[part], other.state_dict()[part])


def test_the_head_is_drawn_from_its_own_stream(build, tiny):
    torch.manual_seed(stream_seed(0, "formulation/flow-factored"))
    first = torch.nn.Conv2d(16, 4, 1)  # the first layer that the head's constructor builds
    assert torch.equal(first.weight, build("flow-factored").formulation.head.projects[0].weight)


@pytest.mark.parametrize("name", FOUR)
def test_flow_on_request_only(build, all_pairs, name):
    model = build(name)
    images = torch.rand(2, 3, 3, 32, 48)
    assert model(images).flow is None
    flow = model(images, all_pairs).flow
    if name == "3d-sup":
        assert flow is None
        assert not model.formulation.supervises_unlabelled
        return
    assert model.formulation.supervises_unlabelled
    assert flow.target_px.shape == (2, 6, 32, 48, 2)
    assert flow.valid.shape == (2, 6, 32, 48)
    assert flow.valid.dtype == torch.bool
    assert flow.target_px.isfinite().all()


def reaches(name: str, parameter: str) -> bool:
    """The design's table: does a flow loss reach this parameter?"""
    part = parameter.split(".")
    if part[0] == "formulation" or part[1] == "backbone":
        return True
    if part[1] in ("conf_decoder", "conf_head") or name == "flow-tracking":
        return False
    if name == "flow-projective":
        return True
    return part[1] in ("point_decoder", "camera_decoder") and part[2] != "linear_out"


@pytest.mark.parametrize("name", FOUR[1:])
def test_a_flow_loss_reaches_exactly_the_parameters_of_the_table(build, all_pairs, name):
    model = build(name)
    with torch.no_grad():  # a layer that starts at zero would hide the path behind it
        for parameter in model.formulation.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    flow = model(torch.rand(2, 3, 3, 32, 32), all_pairs).flow
    (flow.target_px / 32).square()[flow.valid].mean().backward()
    for parameter_name, parameter in model.named_parameters():
        if reaches(name, parameter_name):
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
            assert parameter.grad.abs().sum() > 0, parameter_name
        else:
            assert parameter.grad is None, parameter_name


@pytest.mark.parametrize("name", FOUR[1:])
def test_bf16_autocast_leaves_flow_in_float32(build, all_pairs, name):
    model = build(name)
    images = torch.rand(1, 3, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        flow = model(images, all_pairs).flow
    assert flow.target_px.dtype == torch.float32
    (flow.target_px / 32).square().mean().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("name", FOUR[1:])
def test_every_clip_may_have_pairs_of_its_own(build, name):
    model = build(name)
    images = torch.rand(2, 3, 3, 32, 48)
    pairs = torch.tensor([[[0, 1], [2, 0]], [[1, 2], [1, 0]]])
    flow = model(images, pairs).flow
    assert flow.target_px.shape == (2, 2, 32, 48, 2)
    for clip in range(2):
        alone = model(images[clip : clip + 1], pairs[clip]).flow
        close = {"rtol": 1e-4, "atol": 1e-3}
        torch.testing.assert_close(flow.target_px[clip], alone.target_px[0], **close)
        assert torch.equal(flow.valid[clip], alone.valid[0])


@pytest.mark.parametrize("name", FOUR)
def test_the_study_size_runs_with_one_level(name):
    model = build_model(pi3_study(), FormulationConfig(name), seed=0)
    prediction = model(torch.rand(2, 2, 3, 48, 48), torch.tensor([[0, 1], [1, 0]]))
    assert prediction.geometry.local_points.shape == (2, 2, 48, 48, 3)


@pytest.mark.parametrize(
    "pairs",
    [
        torch.tensor([[0, 3]]),
        torch.tensor([0, 1]),
        torch.tensor([[0.0, 1.0]]),
        torch.tensor([[[0, 1]], [[0, 1]]]),  # for two clips, there is one
    ],
)
def test_bad_pairs_are_refused(build, pairs):
    with pytest.raises(ValueError, match="pairs"):
        build("flow-factored")(torch.rand(1, 3, 3, 32, 32), pairs)
