"""Umeyama against an independent numpy implementation and known transforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from flow3r.geometry.similarity import umeyama


def _reference(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """scipy's quaternion-based rotation estimate, and the closed-form scale and shift."""
    w = w / w.sum()
    mean_x, mean_y = w @ x, w @ y
    centred_x, centred_y = x - mean_x, y - mean_y
    rotation = Rotation.align_vectors(centred_y, centred_x, weights=w)[0].as_matrix()
    rotated = centred_x @ rotation.T
    scale = (w[:, None] * rotated * centred_y).sum() / (w[:, None] * centred_x**2).sum()
    return scale, rotation, mean_y - scale * rotation @ mean_x


def _cloud(seed: int, count: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 3)) * [3, 1, 0.5] + 4
    rotation = Rotation.random(random_state=seed).as_matrix()
    y = 2.5 * x @ rotation.T + [1, -2, 3] + 0.3 * random.normal(size=(count, 3))
    return x, y, random.uniform(0.1, 1, size=count)


@pytest.mark.parametrize("seed", range(4))
def test_matches_scipy_on_noisy_weighted_clouds(seed):
    x, y, w = _cloud(seed)
    scale, rotation, translation = _reference(x, y, w)
    result = umeyama(*(torch.from_numpy(a) for a in (x, y, w)))
    np.testing.assert_allclose(result.scale, scale, rtol=1e-6)
    np.testing.assert_allclose(result.rotation, rotation, atol=1e-6)
    np.testing.assert_allclose(result.translation, translation, atol=1e-5)


def test_is_a_minimum_of_the_weighted_squares():
    x, y, w = _cloud(9)
    result = umeyama(*(torch.from_numpy(a) for a in (x, y, w)))

    def residuals(v: np.ndarray) -> np.ndarray:
        fitted = np.exp(v[0]) * x @ Rotation.from_rotvec(v[1:4]).as_matrix().T + v[4:]
        return (np.sqrt(w)[:, None] * (fitted - y)).ravel()

    vector = Rotation.from_matrix(result.rotation.numpy()).as_rotvec()
    start = np.concatenate([[np.log(result.scale)], vector, result.translation])
    assert least_squares(residuals, start).cost == pytest.approx(
        (residuals(start) ** 2).sum() / 2, rel=1e-9
    )


def test_recovers_a_known_similarity_in_a_batch():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 20, 3, generator=generator)
    rotation = torch.from_numpy(Rotation.random(10, random_state=0).as_matrix()).float()
    rotation = rotation.reshape(2, 5, 3, 3)
    scale = torch.rand(2, 5, generator=generator) + 0.5
    shift = torch.randn(2, 5, 3, generator=generator)
    y = scale[..., None, None] * x @ rotation.mT + shift[..., None, :]
    result = umeyama(x, y)
    torch.testing.assert_close(result.scale, scale)
    torch.testing.assert_close(result.rotation, rotation, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(result.apply(x), y, atol=1e-5, rtol=1e-5)


def test_mirrored_points_still_give_a_rotation():
    x = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = x * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    result = umeyama(x, y)
    assert torch.linalg.det(result.rotation).item() == pytest.approx(1)
    scale, rotation, _ = _reference(x.numpy(), y.numpy(), np.ones(40))
    np.testing.assert_allclose(result.scale, scale, rtol=1e-6)
    np.testing.assert_allclose(result.rotation, rotation, atol=1e-6)


def test_points_of_weight_zero_do_not_count_even_if_nan():
    x, y, w = (torch.from_numpy(a) for a in _cloud(1))
    expected = umeyama(x[:20], y[:20], w[:20])
    w[20:] = 0
    x[20:], y[25:] = torch.nan, torch.inf
    result = umeyama(x, y, w)
    torch.testing.assert_close(result.rotation, expected.rotation)
    torch.testing.assert_close(result.scale, expected.scale)
    torch.testing.assert_close(result.translation, expected.translation)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_points_shift_only(count):
    x, y, _ = (torch.from_numpy(a) for a in _cloud(2))
    weight = (torch.arange(30) < count).double()
    result = umeyama(x, y, weight)
    assert torch.equal(result.rotation, torch.eye(3, dtype=torch.float64))
    assert result.scale == 1
    shift = (y - x)[:count].mean(dim=0) if count else torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(result.translation, shift)


def test_coincident_points_shift_only():
    x = torch.tensor([1.0, 2.0, 3.0]).expand(10, 3)
    y = torch.randn(10, 3)
    result = umeyama(x, y)
    assert torch.equal(result.rotation, torch.eye(3))
    assert result.scale == 1
    torch.testing.assert_close(result.apply(x).mean(dim=0), y.mean(dim=0))


def test_planar_and_collinear_points_are_fitted_exactly():
    generator = torch.Generator().manual_seed(3)
    rotation = torch.from_numpy(Rotation.random(random_state=5).as_matrix())
    for used in ([1.0, 1.0, 0.0], [1.0, 0.0, 0.0]):
        x = torch.randn(15, 3, generator=generator, dtype=torch.float64) * torch.tensor(used)
        y = 3 * x @ rotation.T + 1
        result = umeyama(x, y)
        torch.testing.assert_close(result.apply(x), y)
        assert torch.linalg.det(result.rotation).item() == pytest.approx(1)


def test_large_offsets_do_not_cost_precision_in_float32():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(4))
    result = umeyama(x + 1000, 2 * x)
    assert result.scale.item() == pytest.approx(2, rel=1e-4)
