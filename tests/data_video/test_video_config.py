"""Settings and fingerprints of the video input."""

import hashlib

import numpy as np
import pytest

from flow3r.config import from_mapping, to_mapping
from flow3r.data.video.clips import VideoConfig, fingerprint
from flow3r.errors import ConfigError


def test_fingerprint_is_over_size_and_both_ends(tmp_path):
    path = tmp_path / "file"
    data = np.random.default_rng(0).bytes(3 << 20)
    path.write_bytes(data)
    part = 1 << 20
    expected = hashlib.sha256(str(len(data)).encode() + data[:part] + data[-part:]).hexdigest()
    assert fingerprint(path) == expected
    path.write_bytes(data[:-1] + b"x")
    assert fingerprint(path) != expected


def test_config_reads_strictly_and_says_what_is_wrong():
    settings = VideoConfig(folder="x")
    assert from_mapping(VideoConfig, to_mapping(settings)) == settings
    bad = {
        "frames": 1,
        "gap_seconds": 0.0,
        "max_clips": -3,
        "min_motion": 2.0,
        "size": [8, 64],
        "chain_steps": 0,
    }
    for name, value in bad.items():
        with pytest.raises(ConfigError, match=f"{name}="):
            from_mapping(VideoConfig, {"folder": "x", name: value})
