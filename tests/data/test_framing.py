"""Cropping and resizing: a point is seen at the same place before and after."""

import numpy as np
import pytest

from flow3r.data.framing import (
    Window,
    bucket_sizes,
    framed_depth,
    framed_image,
    framed_intrinsics,
    largest_window,
    nearest_bucket,
)
from flow3r.errors import ConfigError


def project(points, k):
    """Straightforward: [N, 3] -> [N, 2]."""
    pixels = points @ k.T
    return pixels[:, :2] / pixels[:, 2:]


@pytest.mark.parametrize("seed", range(40))
def test_any_point_projects_to_the_same_place(seed):
    random = np.random.default_rng(seed)
    k = np.array(
        [
            [random.uniform(50, 900), random.normal(), random.uniform(0, 600)],
            [0, random.uniform(50, 900), random.uniform(0, 400)],
            [0, 0, 1],
        ]
    )
    window = Window(*random.uniform(-5, 100, 2), *random.uniform(10, 500, 2))
    size = tuple(int(n) for n in random.integers(8, 600, 2))
    points = random.normal(size=(20, 3)) + np.array([0, 0, 5])
    before, after = project(points, k), project(points, framed_intrinsics(k, window, size))
    scale = np.array([size[1] / window.width, size[0] / window.height])
    expected = (before + 0.5 - (window.left, window.top)) * scale - 0.5
    np.testing.assert_allclose(after, expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_pictures_and_depth_follow_the_same_map(seed):
    """A picture and a map that are linear in x and y tell where every pixel came from."""
    random = np.random.default_rng(seed)
    height, width = 60, 80
    rows, columns = np.mgrid[:height, :width]
    size = tuple(int(n) for n in random.integers(10, 50, 2))
    window = largest_window(
        (height, width), size, tuple(random.uniform((30, 20), (50, 40))), random.uniform(0.8, 1)
    )
    image = np.stack([columns * 3, rows * 3, rows * 0], -1).astype(np.uint8)
    y, x = np.mgrid[: size[0], : size[1]]
    source_x = (x + 0.5) * window.width / size[1] + window.left - 0.5
    source_y = (y + 0.5) * window.height / size[0] + window.top - 0.5
    framed = framed_image(image, window, size)
    inner = (slice(2, -2), slice(2, -2))  # Lanczos reaches over the border
    assert np.abs(framed[..., 0] - 3 * source_x)[inner].max() < 2.5
    assert np.abs(framed[..., 1] - 3 * source_y)[inner].max() < 2.5
    for factor in (1, 2):  # the depth map at half the resolution, too
        map_rows, map_columns = np.mgrid[: height // factor, : width // factor]
        for values, source in ((map_columns, source_x), (map_rows, source_y)):
            taken = framed_depth(values.astype(np.float32), (height, width), window, size)
            where = (taken + 0.5) * factor - 0.5
            assert np.abs(where - source).max() <= factor / 2 + 1e-3


def test_no_depth_is_mixed_with_none():
    depth = np.where(np.random.default_rng(0).random((40, 60)) < 0.5, 0, 7).astype(np.float32)
    framed = framed_depth(depth, (80, 120), Window(3.3, 4.4, 60.1, 90.2), (33, 47))
    assert set(np.unique(framed)) == {0, 7}


def test_the_window_is_symmetric_about_the_principal_point():
    window = largest_window((480, 640), (100, 100), (300.0, 240.0))
    k = np.array([[500.0, 0, 300], [0, 500, 240], [0, 0, 1]])
    np.testing.assert_allclose(framed_intrinsics(k, window, (100, 100))[:2, 2], 49.5)
    assert window.height == window.width == pytest.approx(2 * 239.5)
    assert largest_window((480, 640), (48, 64)) == Window(0, 0, 480, 640)
    assert largest_window((480, 640), (10, 10), share=0.5) == Window(120, 200, 240, 240)
    with pytest.raises(ConfigError, match="outside a 640 x 480"):
        largest_window((480, 640), (10, 10), (700.0, 240.0))


def test_buckets_are_those_of_pi3():
    sizes = bucket_sizes((100_000, 255_000), 14)
    for h, w in sizes:
        assert h % 14 == w % 14 == 0
        assert 100_000 <= h * w <= 255_000
        assert 0.5 <= w / h <= 2
    assert (378, 518) in sizes
    assert (392, 518) in sizes
    assert len(sizes) == len(set(sizes))
    count = sum(
        100_000 <= h * w <= 255_000 and 0.5 <= w / h <= 2
        for h in range(14, 1000, 14)
        for w in range(14, 1000, 14)
    )
    assert len(sizes) == count
    with pytest.raises(ConfigError, match="no size"):
        bucket_sizes((10, 20), 14)


def test_the_nearest_bucket_loses_least():
    buckets = ((100, 100), (50, 100), (100, 50), (60, 80), (120, 160))
    assert nearest_bucket((480, 640), buckets) == (120, 160)
    assert nearest_bucket((1080, 1920), buckets) == (50, 100)
    assert nearest_bucket((1920, 1080), buckets) == (100, 50)
    assert nearest_bucket((300, 310), buckets) == (100, 100)
