"""Composition, forward-backward check and reduction against closed forms."""

import numpy as np
import pytest
import torch

from flow3r.errors import DataError
from flow3r.teachers.consistency import compose, consistent, pixel_centres, reduce_flow


def _affine_flow(matrix, shift, height=40, width=50):
    grid = pixel_centres(height, width)
    return (grid @ np.float32(matrix).T + np.float32(shift) - grid).astype(np.float32)


def test_pixel_centres_are_x_y():
    grid = pixel_centres(3, 5)
    assert grid.shape == (3, 5, 2)
    assert grid[2, 4].tolist() == [4, 2]


def test_composition_of_affine_flows_is_the_affine_flow_of_the_product():
    a, b = [[1.02, 0.01], [-0.02, 0.98]], [[0.99, -0.03], [0.02, 1.01]]
    s, t = [0.7, -0.4], [-0.3, 0.9]
    composed = compose(_affine_flow(a, s), _affine_flow(b, t))
    expected = _affine_flow(np.array(b) @ a, np.array(b) @ s + t)
    # Bilinear sampling is exact for affine fields, away from the clamped border.
    np.testing.assert_allclose(composed[4:-4, 4:-4], expected[4:-4, 4:-4], atol=2e-2)


def test_check_keeps_inverse_flows_and_drops_what_leaves_the_image():
    flow = np.full((10, 12, 2), (3.0, 0.0), np.float32)
    mask = consistent(flow, -flow, 0.01, 0.5)
    assert (mask[:, :9] == 1).all()  # 8 + 3 = 11 is the last column
    assert (mask[:, 9:] == 0).all()


@pytest.mark.parametrize(("error", "kept"), [(0.70, 1.0), (0.72, 0.0)])
def test_check_has_the_stated_threshold(error, kept):
    forward = np.zeros((6, 6, 2), np.float32)
    backward = np.full((6, 6, 2), (error, 0.0), np.float32)
    # error^2 < 0.01 error^2 + 0.5 holds below 0.7107
    assert (consistent(forward, backward, 0.01, 0.5) == kept).all()


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_reduction_follows_the_half_pixel_convention(k):
    height, width = 6, 8
    matrix = torch.tensor([[1.02, 0.01], [-0.03, 0.97]], dtype=torch.float64)
    shift = torch.tensor([0.3, 0.2], dtype=torch.float64)
    small = torch.from_numpy(pixel_centres(height, width)).double()
    large = torch.from_numpy(pixel_centres(k * height, k * width)).double()
    # The same mapping of the plane, with x_large = k (x + 0.5) - 0.5 in both frames.
    expected = small @ matrix.T + shift
    target_large = k * (((large + 0.5) / k - 0.5) @ matrix.T + shift + 0.5) - 0.5
    ones = torch.ones(1, k * height, k * width, dtype=torch.float64)
    target, covisibility = reduce_flow(target_large[None], ones, (height, width))
    torch.testing.assert_close(target[0], expected, atol=1e-6, rtol=0)
    assert covisibility.shape == (1, height, width)
    assert covisibility[0, 2:4, 2:6].all()


def test_reduction_averages_over_covisible_pixels_only():
    large = torch.from_numpy(pixel_centres(4, 4)).clone()
    covisibility = torch.ones(1, 4, 4)
    target = large[None].clone()
    target[0, 0, 0] += 100.0  # an occluded outlier
    covisibility[0, 0, 0] = 0
    covisibility[0, 2:, 2:] = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    small, mask = reduce_flow(target, covisibility, (2, 2))
    torch.testing.assert_close(small[0], torch.from_numpy(pixel_centres(2, 2)))
    assert mask[0].tolist() == [[1, 1], [1, 0]]


def test_reduction_of_a_block_without_covisible_pixels_is_finite_and_masked():
    target = torch.from_numpy(pixel_centres(4, 4))[None]
    small, mask = reduce_flow(target, torch.zeros(1, 4, 4), (2, 2))
    assert torch.isfinite(small).all()
    assert not mask.any()


def test_reduction_masks_targets_outside():
    target = torch.from_numpy(pixel_centres(4, 8))[None] + torch.tensor([2.0, 0.0])
    _, mask = reduce_flow(target, torch.ones(1, 4, 8), (2, 4))
    assert mask[0].tolist() == [[1, 1, 1, 0]] * 2


@pytest.mark.parametrize("size", [(3, 4), (2, 8), (8, 16)])
def test_reduction_refuses_other_ratios(size):
    with pytest.raises(DataError, match="whole factor"):
        reduce_flow(torch.zeros(1, 4, 8, 2), torch.zeros(1, 4, 8), size)
