"""The model config: presets, round trip through a mapping, refusals."""

import dataclasses
import json

import pytest

from flow3r.config import from_mapping, to_mapping
from flow3r.errors import ConfigError
from flow3r.model.config import PRESETS, DecoderConfig, ModelConfig, TaskDecoderConfig, pi3_study


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_survive_json(name):
    config = PRESETS[name]()
    assert from_mapping(ModelConfig, json.loads(json.dumps(to_mapping(config)))) == config


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


def test_unknown_kinds_name_the_choices():
    with pytest.raises(ConfigError, match=r"attention='flash'.*sdpa"):
        dataclasses.replace(pi3_study(), attention="flash")
    with pytest.raises(ConfigError, match=r"confidence='none'.*own-decoder"):
        dataclasses.replace(pi3_study(), confidence="none")
