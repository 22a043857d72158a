"""Settings of a dataset on the command line of inspect.py."""

from __future__ import annotations

import sys

import pytest

from flow3r.errors import ConfigError


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # the script puts its own first entry
    from experiments.inspect import _settings

    return _settings


def test_values_are_yaml_and_patterns_texts(settings):
    assert settings(
        [
            "settings.images=rgb/*",
            "settings.depth=*.npz",
            "settings.poses=",
            "settings.invalid=[0, 65535]",
            "settings.disparity.focal=994.978",
            "settings.disparity.doffs=31",
            "settings.selection=_90",
        ]
    ) == {
        "images": "rgb/*",
        "depth": "*.npz",
        "poses": "",
        "invalid": [0, 65535],
        "disparity": {"focal": 994.978, "doffs": 31},
        "selection": "_90",
    }


def test_anything_else_is_refused(settings):
    with pytest.raises(ConfigError, match="'depth=png' is not understood"):
        settings(["depth=png"])
