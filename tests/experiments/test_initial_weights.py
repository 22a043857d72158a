"""Training from a file: model.init=<path>, whatever the file holds."""

import pytest
import torch
from safetensors.torch import save_file

import flow3r
from experiments.assembly import initial_model
from experiments.compose import compose
from experiments.spec import parse_spec

HEAD = {"ladder": [2.0, 1.0, 1.0, 0.5], "hidden": 8}  # of the smoke profile


def start(path, *overrides):
    """The model at step 0 of a run that starts from a file."""
    spec = compose(["profile=smoke", f"model.init={path}", *overrides]).spec
    return initial_model(spec, parse_spec(spec), path.parent)


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in second)


@pytest.mark.parametrize("name", ["pi3-smoke", "vggt-smoke"])
def test_released_weights_and_the_flow_head_if_there_is_one(name, tmp_path, capsys):
    source = flow3r.create_model(name, seed=7, **HEAD)
    exported = flow3r.export_released(source)
    save_file(exported, tmp_path / "all.safetensors")
    model = start(tmp_path / "all.safetensors", f"model={name}")
    assert equal(model.state_dict(), source.state_dict())
    assert "Every tensor of the model was set." in capsys.readouterr().out

    headless = {k: v for k, v in exported.items() if not k.startswith("flow_head.")}
    save_file(headless, tmp_path / "geometry.safetensors")
    model = start(tmp_path / "geometry.safetensors", f"model={name}", "seed=3")
    assert equal(model.model.state_dict(), source.model.state_dict())
    drawn = flow3r.create_model(name, seed=3, **HEAD)
    assert equal(model.formulation.state_dict(), drawn.formulation.state_dict())
    assert "Not there, hence as before: flow-head." in capsys.readouterr().out


def test_a_dinov2_encoder_and_drawn_weights_for_the_rest(tmp_path):
    source = flow3r.create_model("pi3-smoke", seed=7).model.backbone.encoder.state_dict()
    torch.save(source, tmp_path / "encoder.pth")
    model = start(tmp_path / "encoder.pth", "seed=3")
    encoder = "model.backbone.encoder."
    drawn = flow3r.create_model("pi3-smoke", seed=3, **HEAD).state_dict()
    for key, value in model.state_dict().items():
        assert torch.equal(value, source.get(key.removeprefix(encoder), drawn[key])), key


def test_a_run_of_ours_and_its_head_where_the_formulation_is_the_same(tmp_path):
    source = flow3r.create_model("pi3-smoke", seed=7, **HEAD)
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    assert equal(start(tmp_path / "weights.pt").state_dict(), source.state_dict())
    model = start(tmp_path / "weights.pt", "formulation=flow-tracking", "seed=3")
    assert equal(model.model.state_dict(), source.model.state_dict())
    drawn = flow3r.create_model("pi3-smoke", "flow-tracking", seed=3)
    assert equal(model.formulation.state_dict(), drawn.formulation.state_dict())


def test_training_does_not_depend_on_the_file_any_more(tmp_path):
    source = flow3r.create_model("pi3-smoke", seed=7, **HEAD)
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    model = start(tmp_path / "weights.pt")
    with open(tmp_path / "weights.pt", "r+b") as file:  # what would take a mapped model along
        file.truncate(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(p.isfinite().all() for p in model.parameters())
