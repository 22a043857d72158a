"""Import and export of released weights: strict, complete, and the way back."""

import pytest
import torch

import flow3r
from flow3r.errors import ConfigError, DataError

RELEASED_EXAMPLES = {
    "pi3": {
        "encoder.cls_token",
        "encoder.patch_embed.proj.weight",
        "decoder.0.attn.q_norm.weight",
        "register_token",
        "point_decoder.projects.weight",
        "camera_head.fc_rot.weight",
        "image_mean",
        "flow_head.scratch.refinenet1.out_conv.weight",
    },
    "vggt": {
        "aggregator.camera_token",
        "aggregator.patch_embed.patch_embed.proj.weight",
        "aggregator.frame_blocks.0.attn.q_norm.weight",
        "camera_head.pose_branch.fc2.weight",
        "depth_head.scratch.output_conv2.2.weight",
        "point_head.norm.weight",
    },
}


def equal(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_import_export_import_gives_identical_tensors(architecture, dtype, small, scrambled):
    first, second = small(architecture, seed=1), small(architecture, seed=2)
    state = scrambled(flow3r.export_released(first), dtype)
    flow3r.import_released(first, state)
    exported = flow3r.export_released(first)
    assert equal(exported, {name: value.float() for name, value in state.items()})
    flow3r.import_released(second, exported)
    assert equal(second.state_dict(), first.state_dict())
    assert equal(flow3r.export_released(second), exported)


def test_the_exported_names_are_the_released_ones(architecture, small):
    assert set(flow3r.export_released(small(architecture))) >= RELEASED_EXAMPLES[architecture]


def test_imported_weights_compute_the_same(architecture, small):
    source, target = small(architecture, seed=1), small(architecture, seed=2)
    flow3r.import_released(target, flow3r.export_released(source))
    images, pairs = torch.rand(1, 2, 3, 14, 21), torch.tensor([[0, 1]])
    assert torch.equal(source(images, pairs).points, target(images, pairs).points)
    assert torch.equal(source(images, pairs).flow.target_px, target(images, pairs).flow.target_px)


def test_the_report_accounts_for_every_tensor(architecture, small, scrambled):
    model = small(architecture)
    state = scrambled(flow3r.export_released(model), torch.bfloat16)
    report = flow3r.import_released(model, state)
    assert report.tensors == len(state)
    assert report.elements == sum(value.numel() for value in state.values())
    assert report.converted == ("bfloat16 to float32",)
    assert not report.left_out
    assert not report.kept
    text = str(report)
    assert "\n" not in text
    assert f"Imported {len(state)} tensors with {report.elements:,} numbers" in text
    assert "converted from bfloat16 to float32. Nothing is left over. Every tensor" in text


def test_what_the_model_has_no_use_for_is_left_out_and_said(small, scrambled):
    state = scrambled(flow3r.export_released(small("pi3")))
    state["encoder.mask_token"] = torch.zeros(1, 16)
    report = flow3r.import_released(small("pi3", "flow-projective"), state)
    heads = sum(name.startswith("flow_head.") for name in state)
    assert report.left_out == {
        "encoder.mask_token": 1,
        "flow_head (the formulation is flow-projective)": heads,
    }
    assert f"flow_head (the formulation is flow-projective), {heads} tensors" in str(report)

    state = scrambled(flow3r.export_released(small("vggt", "3d-sup")))
    extra = ("track_head.a.weight", "track_head.b", "aggregator.patch_embed.mask_token")
    state.update({name: torch.zeros(2) for name in extra})
    report = flow3r.import_released(small("vggt", "3d-sup"), state)
    assert report.left_out == {"track_head": 2, "aggregator.patch_embed.mask_token": 1}


def _without(prefix):
    return lambda state: [state.pop(name) for name in list(state) if name.startswith(prefix)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("register_token"), "missing: register_token$"),
        (lambda s: s.update(extra=torch.ones(1)), "unknown: extra$"),
        (
            lambda s: s.update(register_token=torch.ones(1)),
            r"misshapen: register_token \(1,\) instead of \(1, 1, 5, 16\)$",
        ),
        (
            lambda s: s.update({"decoder.9.norm1.weight": s.pop("decoder.1.norm1.weight")}),
            r"missing: decoder\.1\.norm1\.weight; unknown: decoder\.9\.norm1\.weight$",
        ),
        (
            lambda s: s.update(image_std=torch.ones(1, 3, 1, 1, dtype=torch.int8)),
            "not floating point: image_std$",
        ),
        (_without("flow_head."), "missing: flow_head.* and 65 more"),
        (_without("decoder."), "missing: decoder.* and 33 more"),
        (_without("point_decoder.projects"), r"missing: point_decoder\.projects\.bias, point_d"),
        (lambda s: (s.clear(), s.update(a=torch.ones(1))), "unknown layout, 1 tensors such as a;"),
    ],
)
def test_what_does_not_fit_is_one_message_and_changes_nothing(change, message, small, scrambled):
    model = small("pi3")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = scrambled(flow3r.export_released(model))
    change(state)
    with pytest.raises(DataError, match=message) as caught:
        flow3r.import_released(model, state)
    assert "\n" not in str(caught.value)
    assert equal(model.state_dict(), before)


def test_the_other_backbone_is_refused(small):
    with pytest.raises(DataError, match="these are vggt weights, the model is a pi3 model"):
        flow3r.import_released(small("pi3"), flow3r.export_released(small("vggt")))
    with pytest.raises(DataError, match="these are flow3r weights, the model is a vggt model"):
        flow3r.import_released(small("vggt"), flow3r.export_released(small("pi3")))


def test_parts_may_be_absent_as_a_whole_if_asked_for(small, scrambled):
    model = small("pi3")
    before = {name: value.clone() for name, value in flow3r.export_released(model).items()}
    state = scrambled(before)
    for prefix in ("conf_", "flow_head."):
        _without(prefix)(state)
    report = flow3r.import_released(model, state, may_lack=("confidence", "flow-head"))
    assert report.layout == "pi3"
    assert report.kept == ("confidence", "flow-head")
    assert "Not there, hence as before: confidence, flow-head." in str(report)
    for name, value in flow3r.export_released(model).items():
        assert torch.equal(value, state.get(name, before[name])), name
    state["conf_head.proj.bias"] = before["conf_head.proj.bias"]
    with pytest.raises(DataError, match=r"missing: conf_decoder\.blocks\.0"):
        flow3r.import_released(model, state, may_lack=("confidence", "flow-head"))
    with pytest.raises(ConfigError, match=r"may_lack='camera'.*\['confidence', 'flow-head'\]"):
        flow3r.import_released(model, state, may_lack=("camera",))


def test_a_head_that_nobody_released_is_not_forgotten(architecture, small):
    state = flow3r.export_released(small(architecture))
    model = small(architecture, "flow-tracking")
    assert not any("formulation" in name for name in flow3r.export_released(model))
    with pytest.raises(DataError, match=r"missing: formulation\.head\.context\.bias"):
        flow3r.import_released(model, state)
    assert flow3r.import_released(model, state, may_lack=("flow-head",)).kept == ("flow-head",)


def test_a_model_on_the_meta_device_takes_the_tensors_over(architecture, small, scrambled):
    state = scrambled(flow3r.export_released(small(architecture)))
    with torch.device("meta"):
        model = small(architecture)
    flow3r.import_released(model, state)
    assert not any(value.is_meta for value in (*model.parameters(), *model.buffers()))
    assert all(value.requires_grad for value in model.parameters())
    pointers = {value.data_ptr() for value in state.values()}
    assert {value.data_ptr() for value in model.parameters()} <= pointers
