"""Real recordings through their loaders, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from flow3r.data.datasets.registry import open_dataset

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"
DATA = Path(os.environ.get("FLOW3R_DATA", DEFAULT))
ROOMS, PAIR = DATA / "rgbd_7scenes", DATA / "stereo_motorcycle"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not (ROOMS.is_dir() and PAIR.is_dir()), reason=f"no recordings at {DATA} (FLOW3R_DATA)"
    ),
]


def test_seven_scenes():
    """40 frames of one sequence, colour as JPEG, depth not registered, no split files."""
    dataset = open_dataset("7scenes", ROOMS)
    assert dataset.splits == ("all",)
    [name] = dataset.scenes("all")
    scene = dataset.scene(name)
    assert name == "redkitchen/seq-01"
    assert len(scene.frames) == 40
    assert scene.metric
    assert not scene.dynamic
    frame = scene.frames[10]
    assert frame.image().shape == (480, 640, 3)
    depth = frame.depth()
    assert depth.shape == (480, 640)
    assert 0.3 < depth[depth > 0].min() < depth.max() < 10
    np.testing.assert_allclose(frame.intrinsics, [[525, 0, 320], [0, 525, 240], [0, 0, 1]])
    assert frame.world_from_camera.shape == (4, 4)
    # The colour camera looks wider than the depth sensor: 585 / 525 of its field of view is seen.
    assert not depth[:, :30].any()
    assert not depth[:, -30:].any()
    assert (depth > 0).mean() > 0.5


def test_registration_brings_depth_edges_onto_colour_edges():
    """The sensor's own map lies elsewhere than what is seen: compared in the middle column, the
    registered map is the sensor's, shrunk about the principal point by 525 / 585."""
    frame = open_dataset("7scenes", ROOMS).scene("redkitchen/seq-01").frames[10]
    depth = frame.depth()
    from PIL import Image

    with Image.open(frame.files[1]) as opened:
        codes = np.asarray(opened).astype(np.int64)
    codes[codes == 65535] = 0
    for x, y in ((320, 240), (320 + 105, 240), (320, 240 - 105), (320 - 210, 240 + 105)):
        u, v = 320 + (x - 320) * 585 // 525, 240 + (y - 240) * 585 // 525
        assert depth[y, x] == pytest.approx(codes[v, u] / 1000, abs=1e-6)


def test_the_middlebury_pair_has_the_depth_that_its_disparity_implies():
    settings = {
        "images": "motorcycle_left.png",
        "depth": "motorcycle_disp.npz",
        "depth_key": "arr_0",
        "depth_per_unit": 1.0,
        "disparity": {"focal": 994.978, "baseline": 0.193001, "doffs": 31.086},
        "calibration": [994.978, 994.978, 311.193, 254.877],
        "poses": "",
    }
    dataset = open_dataset("rgbd_folder", PAIR, settings)
    assert dataset.scenes("all") == [PAIR.name]
    [frame] = dataset.scene(PAIR.name).frames
    with np.load(PAIR / "motorcycle_disp.npz") as archive:
        disparity = archive["arr_0"].astype(np.float64)
    depth = frame.depth()
    known = np.isfinite(disparity) & (disparity > 0)
    assert known.mean() == pytest.approx(0.927, abs=0.002)
    np.testing.assert_array_equal(depth > 0, known)
    implied = 0.193001 * 994.978 / (disparity[known] + 31.086)
    np.testing.assert_allclose(depth[known], implied, rtol=1e-6)
    assert 1.5 < depth[known].min() < depth[known].max() < 6  # a motorcycle in a garage
    assert frame.world_from_camera is None
    assert frame.image().shape == (500, 741, 3)
    np.testing.assert_allclose(frame.intrinsics[:2, 2], [311.193, 254.877])
