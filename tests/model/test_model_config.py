"""The model configs: presets, the YAML files, round trip through a mapping, refusals."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

import experiments
from flow3r.config import from_mapping, to_mapping
from flow3r.errors import ConfigError
from flow3r.model.config import (
    PRESETS,
    AggregatorConfig,
    DecoderConfig,
    DenseHeadConfig,
    ModelConfig,
    TaskDecoderConfig,
    pi3_study,
    vggt_study,
)

YAML = {p.stem: p for p in (Path(experiments.__path__[0]) / "configs" / "model").glob("*.yaml")}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_survive_json(name):
    config = PRESETS[name]()
    assert from_mapping(ModelConfig, json.loads(json.dumps(to_mapping(config)))) == config


def test_the_yaml_files_are_the_presets():
    described = {
        name: from_mapping(ModelConfig, yaml.safe_load(path.read_text()))
        for name, path in YAML.items()
    }
    assert described == {name: preset() for name, preset in PRESETS.items()}


def test_a_mapping_without_an_architecture_is_a_pi3_model():
    mapping = to_mapping(pi3_study())
    del mapping["architecture"]
    assert from_mapping(ModelConfig, mapping) == pi3_study()
    with pytest.raises(ConfigError, match=r"model\.architecture='dust3r'.*pi3.*vggt"):
        from_mapping(ModelConfig, mapping | {"architecture": "dust3r"}, "model")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 3}, "decoder.depth=3 must be even"),
        ({"heads": 5}, "divisible by heads=5"),
        ({"heads": 32}, "multiple of 4"),
        ({"cross_frame_heads": 0.3}, "whole number of the 4 heads"),
        ({"registers": -1}, "decoder.registers=-1"),
    ],
)
def test_decoder_refuses(changes, message):
    with pytest.raises(ConfigError, match=message):
        DecoderConfig(**{"width": 64, "depth": 4, "heads": 4, **changes})


@pytest.mark.parametrize("levels", [(), (1, 0), (0, 0), (2,), (-1,)])
def test_levels_must_name_existing_blocks_in_order(levels):
    with pytest.raises(ConfigError, match="must name one to four different blocks"):
        TaskDecoderConfig(width=64, depth=2, heads=4, camera_width=32, levels=levels)
    with pytest.raises(ConfigError, match="must name one to four different pairs"):
        dataclasses.replace(vggt_study(), levels=levels)


def test_vggt_refuses_sizes_that_do_not_fit_together():
    with pytest.raises(ConfigError, match=r"aggregator.*divisible by heads=5"):
        AggregatorConfig(width=64, depth=2, heads=5)
    camera = dataclasses.replace(vggt_study().camera, heads=3)
    with pytest.raises(ConfigError, match=r"camera.*divisible by heads=3"):
        dataclasses.replace(vggt_study(), camera=camera)
    with pytest.raises(ConfigError, match=r"one entry for each of levels=\[0, 1\]"):
        dataclasses.replace(vggt_study(), levels=(0, 1))
    with pytest.raises(ConfigError, match=r"dense.ladder=\[3.0\]"):
        DenseHeadConfig(out_channels=(8,), ladder=(3.0,))
    with pytest.raises(ConfigError, match=r"dense.features=12"):
        DenseHeadConfig(features=12)


def test_unknown_kinds_name_the_choices():
    for config in (pi3_study(), vggt_study()):
        with pytest.raises(ConfigError, match=r"attention='flash'.*sdpa"):
            dataclasses.replace(config, attention="flash")
    with pytest.raises(ConfigError, match=r"confidence='none'.*own-decoder"):
        dataclasses.replace(pi3_study(), confidence="none")
