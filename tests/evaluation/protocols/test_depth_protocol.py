import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from flow3r.errors import DataError
from flow3r.evaluation.protocols import depth_alignment
from flow3r.evaluation.protocols.depth import depth_errors, depth_metrics
from flow3r.evaluation.protocols.depth_alignment import (
    median_ratio,
    published_scale_and_shift,
    robust_scale,
    scale_and_shift,
)
from flow3r.evaluation.protocols.protocol import DepthRules
from flow3r.evaluation.protocols.size import resized_depth


def absolute_error(p, g, line):
    return np.abs(line[0] * p + line[1] - g).sum()


def hard_case(seed, count=300):
    """A line with noise and a tenth of gross outliers."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.2, 3.0, count)
    g = rng.uniform(0.5, 8.0) * p + rng.uniform(-0.5, 2.0) + 0.1 * rng.normal(size=count)
    g[: count // 10] = rng.uniform(0.1, 60.0, count // 10)
    return p, np.abs(g) + 0.01


def by_linear_programme(p, g):
    """min sum e subject to -e <= s p + t - g <= e."""
    count = len(p)
    cost = np.concatenate([[0, 0], np.ones(count)])
    line = np.stack([p, np.ones(count)], axis=1)
    rows = np.block([[line, -np.eye(count)], [-line, -np.eye(count)]])
    bounds = [(None, None)] * 2 + [(0, None)] * count
    return linprog(cost, rows, np.concatenate([g, -g]), bounds=bounds, method="highs").x[:2]


def by_adam(p, g, rate=1e-4, steps=1000, tolerance=1e-6):
    """The published procedure, with torch's own optimiser."""
    start = float(np.median(g) / np.median(p))
    scale = torch.tensor([start], dtype=torch.float64, requires_grad=True)
    shift = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    p, g, before = torch.from_numpy(p), torch.from_numpy(g), np.inf
    optimiser = torch.optim.Adam([scale, shift], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (scale * p + shift - g).abs().sum()
        loss.backward()
        optimiser.step()
        if abs(before - loss.item()) < tolerance:
            break
        before = loss.item()
    return scale.item(), shift.item()


@pytest.mark.parametrize("seed", range(8))
def test_scale_and_shift_is_the_optimum(seed):
    p, g = hard_case(seed)
    found = absolute_error(p, g, scale_and_shift(p, g))
    assert found == pytest.approx(absolute_error(p, g, by_linear_programme(p, g)), rel=1e-7)


@pytest.mark.parametrize("seed", range(2))
def test_scale_and_shift_is_at_least_as_good_as_the_published_steps(seed):
    p, g = hard_case(seed, 500)
    published = by_adam(p, g)
    assert absolute_error(p, g, scale_and_shift(p, g)) <= absolute_error(p, g, published)
    assert published_scale_and_shift(p, g) == pytest.approx(published, abs=1e-6)


def test_scale_and_shift_of_special_cases():
    p = np.array([1.0, 2.0, 3.0, 4.0])
    assert scale_and_shift(p, 2 * p + 5) == pytest.approx((2.0, 5.0), abs=1e-7)
    falling = scale_and_shift(p, 10 - 2 * p)  # the prediction has near and far reversed
    assert falling == pytest.approx((-2.0, 10.0), abs=1e-7)
    scale, shift = scale_and_shift(np.full(5, 2.0), np.array([1.0, 2, 3, 4, 9]))
    assert scale * 2 + shift == pytest.approx(3.0)  # a constant gets the median
    assert scale_and_shift(np.array([2.0]), np.array([3.0])) == pytest.approx((1.5, 0.0))
    flat = scale_and_shift(p, np.full(4, 7.0))
    assert flat == pytest.approx((0.0, 7.0), abs=1e-6)


def test_many_pixels_start_from_a_sample(monkeypatch):
    p, g = hard_case(3, 5000)
    whole = scale_and_shift(p, g)
    monkeypatch.setattr(depth_alignment, "_SAMPLE", 400)
    assert scale_and_shift(p, g) == pytest.approx(whole, rel=1e-6, abs=1e-6)
    near = published_scale_and_shift(p, g)
    monkeypatch.setattr(depth_alignment, "_SAMPLE", 10_000)
    assert near == pytest.approx(published_scale_and_shift(p, g), abs=0.5)


def test_robust_scale_against_a_loop():
    p, g = hard_case(1)
    scale = g.mean() / p.mean()
    for _ in range(10):
        top = bottom = 0.0
        for a, b in zip(p, g):
            weight = 1 / (abs(scale * a - b) + 1e-8)
            top, bottom = top + weight * a * b, bottom + weight * a * a
        scale = top / bottom
    # A pixel that fits to 1e-8 weighs 1e8: the order of a sum shows in the eighth digit.
    assert robust_scale(p, g) == pytest.approx((scale, 0.0), rel=1e-6)


def test_robust_scale_approaches_the_weighted_median():
    """The optimum of sum |s p - g| is the median of g / p with weights p; ten rounds come near."""
    rng = np.random.default_rng(0)
    p = rng.uniform(1, 2, 5000)
    g = 3.0 * p * np.exp(0.1 * rng.normal(size=5000))
    order = np.argsort(g / p)
    middle = order[np.searchsorted(np.cumsum(p[order]), p.sum() / 2)]
    assert robust_scale(p, g)[0] == pytest.approx(g[middle] / p[middle], rel=1e-2)


def test_the_median_ratio_is_no_median_of_ratios():
    assert median_ratio(np.array([1.0, 2, 4]), np.array([3.0, 4, 40])) == (2.0, 0.0)


def test_errors_by_hand():
    found = depth_errors(np.array([2.0, 4.0, 5.0]), np.array([2.0, 5.0, 2.5]))
    assert found["depth_abs_rel"] == pytest.approx((0 + 0.2 + 1.0) / 3)
    assert found["depth_sq_rel"] == pytest.approx((0 + 1 / 5 + 6.25 / 2.5) / 3)
    assert found["depth_rmse"] == pytest.approx(np.sqrt((1 + 6.25) / 3))
    logs = np.log(0.8) ** 2 + np.log(2.0) ** 2
    assert found["depth_log_rmse"] == pytest.approx(np.sqrt(logs / 3))
    # ratios 1, 1.25 (not under 1.25), 2 (not under 1.953)
    assert found["depth_delta_1"] == pytest.approx(100 / 3)
    assert found["depth_delta_2"] == found["depth_delta_3"] == pytest.approx(200 / 3)


def test_frames_are_aligned_together_or_apart_and_weighted_by_pixels():
    truth = np.full((2, 4, 4), 4.0)
    truth[1, 2:] = 0.0
    predicted = np.full((2, 4, 4), 1.0)
    predicted[1] = 2.0
    together, pixels = depth_metrics(DepthRules("median", "sequence"), predicted, truth)
    assert pixels == 24
    assert together["depth_abs_rel"] == pytest.approx(8 / 24)  # scale 4: twice too far in 8 pixels
    apart, _ = depth_metrics(DepthRules("median", "frame"), predicted, truth)
    assert apart["depth_abs_rel"] == 0.0
    metric = depth_metrics(DepthRules("metric", "frame"), predicted, truth)[0]
    assert metric["depth_abs_rel"] == pytest.approx((16 * 0.75 + 8 * 0.5) / 24)


def test_caps():
    truth = np.array([[[10.0, 60.0, 80.0, 0.0]]])
    predicted = np.array([[[10.0, 90.0, 1.0, 1.0]]])
    found, pixels = depth_metrics(DepthRules("metric", max_depth=70.0, clip=70.0), predicted, truth)
    assert pixels == 2
    assert found["depth_abs_rel"] == pytest.approx((0 + 10 / 60) / 2)


def test_depth_behind_the_camera():
    truth = np.full((1, 2, 2), 2.0)
    found, _ = depth_metrics(DepthRules("metric"), np.array([[[2.0, 2.0], [2.0, -5.0]]]), truth)
    assert found["depth_abs_rel"] == pytest.approx(0.25)
    assert np.isfinite(found["depth_log_rmse"])
    with pytest.raises(DataError, match="not positive"):
        depth_metrics(DepthRules("median"), -truth, truth)


@pytest.mark.parametrize("size", [(31, 47), (9, 12), (18, 30)])
def test_depth_is_resized_as_opencv_does(size):
    cv2 = pytest.importorskip("cv2")
    depth = np.random.default_rng(0).uniform(1, 5, (18, 24))
    expected = cv2.resize(depth, size[::-1], interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(resized_depth(depth, size), expected, atol=1e-5)
