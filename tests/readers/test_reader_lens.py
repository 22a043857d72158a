"""Lens distortion against OpenCV, which implements the same formulas."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from flow3r.data.readers.lens import Lens

SIZE = (40, 56)
K = np.array([[31.0, 0, 27.25], [0, 30.0, 19.5], [0, 0, 1]])
RADIAL = Lens("radial", (0.09, -0.04, 0.003, -0.002, 0.01, 0.02, 0.005, 0.001))
FISHEYE = Lens("fisheye", (0.05, -0.02, 0.006, -0.001))


def opencv_maps(lens):
    k, size = K, SIZE[::-1]
    coefficients = np.array(lens.coefficients)
    if lens.kind == "fisheye":
        return cv2.fisheye.initUndistortRectifyMap(k, coefficients, np.eye(3), k, size, cv2.CV_32F)
    return cv2.initUndistortRectifyMap(k, coefficients, None, k, size, cv2.CV_32F)


def picture():
    rows, columns = np.indices(SIZE)
    channels = [columns * 4, rows * 5, 120 + 60 * np.sin(rows / 3.0) * np.cos(columns / 4.0)]
    return np.stack(channels, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("lens", [RADIAL, FISHEYE], ids=["radial", "fisheye"])
def test_rays_are_bent_as_by_opencv(lens):
    columns, rows = opencv_maps(lens)
    v, u = np.indices(SIZE)
    bent_x, bent_y = lens.bent((u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1])
    np.testing.assert_allclose(bent_x * K[0, 0] + K[0, 2], columns, atol=2e-5)
    np.testing.assert_allclose(bent_y * K[1, 1] + K[1, 2], rows, atol=2e-5)


@pytest.mark.parametrize("lens", [RADIAL, FISHEYE], ids=["radial", "fisheye"])
def test_pictures_and_depth_are_straightened_as_by_opencv(lens):
    image, (columns, rows) = picture(), opencv_maps(lens)
    expected = cv2.remap(image, columns, rows, cv2.INTER_LINEAR).astype(int)
    found = lens.straight_image(image, K).astype(int)
    inside = (columns > 0) & (columns < SIZE[1] - 1) & (rows > 0) & (rows < SIZE[0] - 1)
    assert inside.mean() > 0.4
    # OpenCV interpolates with 5 bits: a 32nd of a pixel, times a slope of up to 20 grey values.
    assert np.abs(found - expected)[inside].max() <= 2
    depth = np.arange(1.0, 1 + SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
    straight = lens.straight_depth(depth, K, SIZE)
    far = (np.abs(columns % 1 - 0.5) > 1e-3) & (np.abs(rows % 1 - 0.5) > 1e-3) & inside
    nearest = depth[np.rint(rows).astype(int) % SIZE[0], np.rint(columns).astype(int) % SIZE[1]]
    np.testing.assert_array_equal(straight[far], nearest[far])


def test_a_depth_map_of_another_resolution_uses_its_own_intrinsics():
    """Half as many pixels along each side: the same places of the picture are looked up."""
    coarse = np.random.default_rng(0).random((SIZE[0] // 2, SIZE[1] // 2)).astype(np.float32) + 1
    halved = np.array([[15.5, 0, (27.25 + 0.5) / 2 - 0.5], [0, 15.0, (19.5 + 0.5) / 2 - 0.5]])
    own = np.vstack([halved, [0, 0, 1]])
    found = FISHEYE.straight_depth(coarse, K, SIZE)
    np.testing.assert_array_equal(found, FISHEYE.straight_depth(coarse, own, coarse.shape))


def test_without_coefficients_nothing_moves():
    image = picture()
    np.testing.assert_array_equal(Lens("radial", ()).straight_image(image, K), image)
