"""Loading: own runs, the pretrain stage, released files; nothing initialised in vain."""

import json

import pytest
import torch
from safetensors.torch import save_file

import flow3r
from flow3r.config import to_mapping
from flow3r.errors import ConfigError, DataError
from flow3r.library.load import find_run
from flow3r.library.presets import preset_of
from flow3r.model.config import PRESETS
from flow3r.weights import build
from flow3r.weights.files import read_weights

IMAGES = torch.rand(1, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
PAIRS = torch.tensor([[0, 1], [1, 0]])
HEAD = {"ladder": [2.0, 1.0, 1.0, 0.5], "hidden": 8}


def write_run(directory, model, preset, formulation, options):
    """What a finished run leaves, as far as loading reads it."""
    spec = {
        "model": to_mapping(PRESETS[preset]()),
        "formulation": {"name": formulation, "options": options},
    }
    (directory / "checkpoint").mkdir(parents=True)
    content = {"schema": 1, "kind": "run", "id": "x", "spec": spec, "runtime": {}}
    (directory / "spec.json").write_text(json.dumps(content))
    torch.save(model.state_dict(), directory / "checkpoint" / "weights.pt")
    return directory


@pytest.fixture(params=["pi3-smoke", "vggt-smoke"])
def preset(request):
    return request.param


@pytest.fixture
def exported(preset, tmp_path):
    """A model and its released file."""
    model = flow3r.create_model(preset, seed=5, **HEAD).eval()
    path = tmp_path / "released.safetensors"
    save_file(flow3r.export_released(model), path)
    return model, path


def same(first, second, pairs=PAIRS):
    with torch.inference_mode():
        a, b = first(IMAGES, pairs), second(IMAGES, pairs)
    torch.testing.assert_close(a.points, b.points)
    torch.testing.assert_close(a.world_from_camera, b.world_from_camera)
    if b.flow is not None:
        torch.testing.assert_close(a.flow.target_px, b.flow.target_px)


def test_a_run_by_its_directory_or_a_file_in_it(preset, tmp_path):
    model = flow3r.create_model(preset, seed=5, **HEAD).eval()
    run = write_run(tmp_path / "run", model, preset, "flow-factored", HEAD)
    for path in (run, run / "checkpoint", run / "checkpoint" / "weights.pt", run / "spec.json"):
        loaded = flow3r.load(path)
        assert not loaded.training
        assert all(p.requires_grad for p in loaded.parameters())
        assert loaded.formulation.options.hidden == 8
        same(model, loaded)
    assert find_run(run / "checkpoint" / "weights.pt") == run.resolve()
    assert find_run(tmp_path) is None


def test_a_run_without_its_flow_head(tmp_path):
    model = flow3r.create_model("pi3-smoke", seed=5, **HEAD).eval()
    run = write_run(tmp_path / "run", model, "pi3-smoke", "flow-factored", HEAD)
    other = flow3r.load(run, formulation="flow-projective")
    assert other(IMAGES, PAIRS).flow is not None
    same(model, flow3r.load(run, formulation="3d-sup"))
    with pytest.raises(DataError, match=r"missing: formulation\.head\.context"):
        flow3r.load(run, formulation="flow-tracking")
    with pytest.raises(ConfigError, match="says which model it is; leave out model='pi3-smoke'"):
        flow3r.load(run, model="pi3-smoke")


def test_the_pretrain_stage(tmp_path):
    model = flow3r.create_model("pi3-smoke", seed=5, **HEAD).eval()
    heads = [{"name": "flow-factored", "options": HEAD}, {"name": "flow-tracking", "options": {}}]
    spec = {
        "model": to_mapping(PRESETS["pi3-smoke"]()),
        "pretrain": {"formulations": heads},
        "source": [],
    }
    content = {"schema": 1, "kind": "pretrain", "id": "x", "spec": spec, "runtime": {}}
    (tmp_path / "spec.json").write_text(json.dumps(content))
    tracking = flow3r.create_model("pi3-smoke", "flow-tracking", seed=6)
    state = {k: v for k, v in model.state_dict().items() if k.startswith("model.")}
    for head in (model, tracking):
        name = head.formulation.name
        state |= {f"heads.{name}.{k}": v for k, v in head.formulation.state_dict().items()}
    torch.save(state, tmp_path / "weights.pt")
    same(model, flow3r.load(tmp_path, formulation="flow-factored"))
    with pytest.raises(ConfigError, match=r"formulation= is needed.*flow-factored.*flow-tracking"):
        flow3r.load(tmp_path)


def test_a_released_file_by_its_names_and_sizes(preset, exported):
    model, path = exported
    assert preset_of(read_weights(path), "x") == preset
    same(model, flow3r.load(path, **HEAD))
    same(model, flow3r.load(path, model=preset, formulation="3d-sup"))
    same(model, flow3r.load(path, model=PRESETS[preset](), **HEAD))
    # Without its options the head has other sizes: never a silent mismatch.
    with pytest.raises(DataError, match=r"released\.safetensors: .*mis(shapen|sing): flow_head"):
        flow3r.load(path)


def test_torch_files_and_other_number_formats(exported, tmp_path):
    model, _ = exported
    state = {k: v.bfloat16() for k, v in flow3r.export_released(model).items()}
    torch.save(state, tmp_path / "weights.bin")
    loaded = flow3r.load(tmp_path / "weights.bin", **HEAD)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    for name, value in flow3r.export_released(loaded).items():
        assert torch.equal(value, state[name].float()), name


def test_without_a_flow_head_the_flow_is_projective(exported, tmp_path):
    model, _ = exported
    state = flow3r.export_released(model)
    state = {k: v for k, v in state.items() if not k.startswith("flow_head.")}
    save_file(state, tmp_path / "pi3.safetensors")
    loaded = flow3r.load(tmp_path / "pi3.safetensors")
    assert loaded.formulation.name == "flow-projective"
    with pytest.raises(DataError, match="missing: flow_head"):
        flow3r.load(tmp_path / "pi3.safetensors", formulation="flow-factored")


def test_early_pi3_weights_have_no_confidence_branch(tmp_path):
    model = flow3r.create_model("pi3-smoke", "flow-projective", seed=5).eval()
    state = flow3r.export_released(model)
    save_file({k: v for k, v in state.items() if "conf_" not in k}, tmp_path / "early.safetensors")
    with pytest.raises(DataError, match="missing: conf_head"):
        flow3r.load(tmp_path / "early.safetensors")
    same(model, flow3r.load(tmp_path / "early.safetensors", may_lack=["confidence"]))


def test_half_precision_is_autocast_with_half_the_backbone(exported):
    model, path = exported
    half = flow3r.load(path, dtype=torch.bfloat16, **HEAD)
    assert half.model.backbone.encoder.blocks[0].mlp.fc1.weight.dtype == torch.bfloat16
    assert half.model.backbone.encoder.norm.weight.dtype == torch.float32
    assert {p.dtype for p in half.formulation.parameters()} == {torch.float32}
    with torch.inference_mode():
        prediction = half(IMAGES, PAIRS)
        with torch.autocast("cpu", torch.bfloat16):
            expected = model(IMAGES, PAIRS)
    assert prediction.points.dtype == prediction.flow.target_px.dtype == torch.float32
    assert torch.equal(prediction.points, expected.points)
    assert torch.equal(prediction.flow.target_px, expected.flow.target_px)


def test_no_initial_weights_are_drawn(exported, monkeypatch):
    model, path = exported
    devices = []
    original = build.build_model

    def watch(*arguments):
        built = original(*arguments)
        devices.append({p.device.type for p in built.parameters()})
        return built

    monkeypatch.setattr(build, "build_model", watch)
    loaded = flow3r.load(path, **HEAD)
    assert devices == [{"meta"}]
    same(model, loaded)


def test_what_cannot_be_loaded_is_said(tmp_path):
    with pytest.raises(DataError, match="nothing to load at pi3-large; a preset is built with"):
        flow3r.load("pi3-large")
    with pytest.raises(DataError, match="no weights file at"):
        flow3r.load(tmp_path)
    with pytest.raises(ConfigError, match=r"dtype=torch\.int8 is not valid"):
        flow3r.load(tmp_path, dtype=torch.int8)
    files = {
        "unknown": ({"layer.weight": 1}, "unknown layout, 1 tensors such as layer.weight; known"),
        "own": ({"model.a": 1, "formulation.b": 1}, "of a run of ours, but there is no spec.json"),
        "dino": ({"patch_embed.proj.weight": 1, "pos_embed": 1}, "holds a DINOv2 encoder alone"),
        "sizes": ({"point_decoder.projects.weight": 1}, "pi3 weights of other sizes than the pre"),
    }
    for name, (names, message) in files.items():
        path = tmp_path / f"{name}.pt"
        torch.save({key: torch.zeros(1) for key in names}, path)
        with pytest.raises(DataError, match=message):
            flow3r.load(path)
    (tmp_path / "stage").mkdir()
    content = {"schema": 1, "kind": "chance", "id": "x", "spec": {}, "runtime": {}}
    (tmp_path / "stage" / "spec.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="of kind 'chance', which has no weights"):
        flow3r.load(tmp_path / "stage")
