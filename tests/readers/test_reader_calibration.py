"""Published calibrations at other sizes; depth seen through another calibration; times."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from flow3r.data.readers.calibration import Calibration, fitting, registered, same_aspect
from flow3r.data.readers.listing import files_in, natural
from flow3r.data.readers.times import nearest, read_timed_files, seconds_in_name
from flow3r.errors import DataError

KINECT = Calibration(525.0, 520.0, 320.0, 240.0, 480, 640)


@pytest.fixture
def picture(tmp_path):
    def make(height, width):
        path = tmp_path / f"{height}x{width}.png"
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)
        return path

    return make


def test_the_calibration_follows_the_size_of_the_picture(picture):
    np.testing.assert_allclose(KINECT.of(picture(480, 640)), KINECT.intrinsics)
    # Borders stay borders: (x + 0.5) / 640 is what does not change.
    small = [[262.5, 0, 320.5 / 2 - 0.5], [0, 260, 240.5 / 2 - 0.5], [0, 0, 1]]
    np.testing.assert_allclose(KINECT.of(picture(240, 320)), small)
    with pytest.raises(DataError, match=r"480x480\.png: 480 x 480.*640 x 480"):
        KINECT.of(picture(480, 480))


def test_sizes_of_one_picture():
    assert same_aspect((480, 640), (968, 1296))  # ScanNet's depth and colour
    assert same_aspect((37, 50), (374, 500))
    assert not same_aspect((480, 640), (640, 480))
    assert not same_aspect((480, 640), (480, 620))


def test_a_depth_map_must_fit_its_picture(picture, tmp_path):
    image = picture(48, 64)
    assert fitting(lambda: np.ones((24, 32)), tmp_path / "d.png", image).shape == (24, 32)
    with pytest.raises(DataError, match=r"d\.png: 30 x 24 does not fit 48x64\.png of 64 x 48"):
        fitting(lambda: np.ones((24, 30)), tmp_path / "d.png", image)


def test_registration_keeps_what_both_cameras_see():
    """A wider camera of the same centre sees the sensor's picture shrunk, and nothing around it."""
    depth = np.arange(1, 1 + 40 * 60, dtype=np.float32).reshape(40, 60)
    sensor = np.array([[80.0, 0, 30], [0, 80, 20], [0, 0, 1]])
    wide = np.array([[40.0, 0, 30], [0, 40, 20], [0, 0, 1]])
    seen = registered(depth, sensor, wide)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(seen[10:30, 15:45], depth[::2, ::2])
    outside = seen.copy()
    outside[10:30, 15:45] = 0
    assert not outside.any()
    np.testing.assert_array_equal(registered(depth, sensor, sensor), depth)


def test_times(tmp_path):
    listing = tmp_path / "rgb.txt"
    listing.write_text("# seconds file\n2.5 rgb/b.png\n1.25 rgb/a.png\n")
    seconds, files = read_timed_files(listing)
    assert seconds.tolist() == [1.25, 2.5]
    assert files == [tmp_path / "rgb/a.png", tmp_path / "rgb/b.png"]
    assert nearest(seconds, 1.3, 0.1) == 0
    assert nearest(seconds, 1.4, 0.1) is None
    assert nearest(np.zeros(0), 1.4, 0.1) is None
    listing.write_text("# nothing\n")
    with pytest.raises(DataError, match=r"rgb\.txt: lists no file"):
        read_timed_files(listing)
    with pytest.raises(DataError, match="its name is not a time"):
        seconds_in_name(tmp_path / "first.png")


def test_files_are_in_natural_order_and_missing_ones_are_named(tmp_path):
    for name in ("img10.png", "img9.png", "img1.jpg", "other.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in files_in(tmp_path, "*.png", "*.jpg")] == [
        "img1.jpg",
        "img9.png",
        "img10.png",
    ]
    with pytest.raises(DataError, match=r"holds no \*\.npy or \*\.exr"):
        files_in(tmp_path, "*.npy", "*.exr")
    with pytest.raises(DataError, match=r"nowhere: is missing"):
        files_in(tmp_path / "nowhere", "*.png")
    assert natural(tmp_path / "a2") < natural(tmp_path / "a10")
