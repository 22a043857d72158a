"""What `import flow3r` gives: models by name and what they return."""

import subprocess
import sys

import pytest
import torch
import yaml

import flow3r
from experiments.compose import CONFIGS
from flow3r.errors import ConfigError
from flow3r.library.create import RELEASED_HEAD, RELEASED_SIZES, formulation_config
from flow3r.model.config import PRESETS, DecoderConfig, EncoderConfig, Pi3Config, TaskDecoderConfig

FOUR = ("3d-sup", "flow-factored", "flow-projective", "flow-tracking")


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, flow3r\n"
        "assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)\n"
        "assert set(dir(flow3r)) >= {'create_model', 'load', 'import_released'}\n"
        "assert not hasattr(flow3r, 'train')\n"
        "flow3r.create_model\n"
        "assert 'torch' in sys.modules\n"
        "assert not {'safetensors', 'hydra', 'yaml', 'pandas'} & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["pi3-smoke", "vggt-smoke", "pi3-study", "vggt-study"])
@pytest.mark.parametrize("formulation", FOUR)
def test_a_model_by_name_returns_what_is_promised(name, formulation):
    model = flow3r.create_model(name, formulation=formulation, seed=3)
    images = torch.rand(2, 3, 3, 32, 48)
    with torch.inference_mode():
        assert model(images).flow is None
        for pairs in (torch.tensor([[0, 1], [2, 0]]), torch.tensor([[[0, 1]], [[1, 2]]])):
            prediction = model(images, pairs)
            assert prediction.local_points.shape == (2, 3, 32, 48, 3)
            assert prediction.points.shape == (2, 3, 32, 48, 3)
            assert prediction.confidence.shape == (2, 3, 32, 48)
            assert prediction.world_from_camera.shape == (2, 3, 4, 4)
            assert prediction.intrinsics.shape == (2, 3, 3, 3)
            if formulation == "3d-sup":
                assert prediction.flow is None
            else:
                assert prediction.flow.target_px.shape == (2, pairs.shape[-2], 32, 48, 2)


def test_the_seed_decides_the_weights_and_the_formulation_does_not():
    models = [
        flow3r.create_model("pi3-smoke", f, seed=s)
        for f, s in (("3d-sup", 1), ("flow-tracking", 1), ("3d-sup", 2))
    ]
    states = [model.model.state_dict() for model in models]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    name = "point_head.proj.weight"
    assert not torch.equal(states[0][name], states[2][name])


@pytest.mark.parametrize("name", RELEASED_SIZES)
def test_the_released_sizes_have_the_released_head(name):
    with torch.device("meta"):
        model = flow3r.create_model(name)
        ramp = flow3r.create_model(name, identity_ramp=True)
    assert not model.formulation.options.identity_ramp
    assert ramp.formulation.options.identity_ramp
    assert flow3r.create_model("pi3-smoke").formulation.options.identity_ramp


def test_the_paper_profile_has_the_same_head():
    profile = yaml.safe_load((CONFIGS / "profile" / "paper.yaml").read_text(encoding="utf-8"))
    for formulation in FOUR:
        options = formulation_config("pi3-large", formulation, {}).options
        assert options == RELEASED_HEAD.get(formulation, {})
        if formulation != "flow-projective":  # its default is written out there
            assert profile["head_options"][formulation] == options


def test_options_of_the_formulation_and_sizes_of_ones_own():
    config = Pi3Config(
        7, EncoderConfig(16, 1, 2, 3), DecoderConfig(16, 2, 2), TaskDecoderConfig(16, 4, 2, 8, (0,))
    )
    model = flow3r.create_model(config, "flow-tracking", steps=3)
    assert model.formulation.head.options.steps == 3
    assert model.model.config is config


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("pi3-huge",), {}, r"model='pi3-huge' is not valid; choose one of \['pi3-large'.*vggt"),
        (("pi3-smoke", "factored"), {}, r"formulation='factored' is not valid.*flow-factored"),
        (("pi3-smoke",), {"hiden": 8}, r"formulation\.options\.hiden: unknown setting.*'hidden'"),
    ],
)
def test_mistakes_name_the_choices(arguments, options, message):
    with pytest.raises(ConfigError, match=message):
        flow3r.create_model(*arguments, **options)


def test_every_config_of_a_model_is_a_preset():
    assert {p.stem for p in (CONFIGS / "model").glob("*.yaml")} == set(PRESETS)
