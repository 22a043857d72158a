"""The nearest rotation and its gradient, against definitions and finite differences."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from flow3r.geometry.rotation import nearest_rotation, rotation_from_nine
from flow3r.streams import torch_generator


def _random(*shape: int, index: int = 0) -> torch.Tensor:
    generator = torch_generator(0, "test/rotation", index)
    return torch.randn(*shape, 3, 3, generator=generator, dtype=torch.float64)


def _rotations(count: int) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(count, random_state=0).as_matrix())


def _with_singular_values(values: list[float], negative: bool = False) -> torch.Tensor:
    u, v = _rotations(2)
    m = u @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ v.T
    return -m if negative else m


def test_result_is_a_rotation_and_idempotent():
    rotation = nearest_rotation(_random(50))
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(rotation @ rotation.mT, eye.expand(50, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(nearest_rotation(rotation), rotation)


def test_no_sampled_rotation_is_nearer():
    m = _random(20)
    best = (nearest_rotation(m) - m).square().sum(dim=(-2, -1))
    others = (_rotations(20000)[None] - m[:, None]).square().sum(dim=(-2, -1)).amin(dim=1)
    assert (best <= others).all()
    assert (others - best < 0.2 * best + 0.2).all()  # the samples come near it


def test_negative_determinant_flips_the_smallest_singular_direction():
    m = torch.diag(torch.tensor([3.0, 2.0, -1.0]))
    torch.testing.assert_close(nearest_rotation(m), torch.eye(3))


def test_gradient_at_random_matrices_of_both_signs():
    m = _random(16)
    assert (torch.linalg.det(m) < 0).any()
    assert (torch.linalg.det(m) > 0).any()
    assert gradcheck(nearest_rotation, m.requires_grad_())


@pytest.mark.parametrize(
    "m",
    [
        torch.eye(3, dtype=torch.float64),
        2.5 * torch.eye(3, dtype=torch.float64),
        _with_singular_values([1.0, 1.0, 1.0]),
        _with_singular_values([2.0, 1.0, 1.0]),
        _with_singular_values([2.0, 2.0, 1.0]),
        _with_singular_values([2.0, 2.0, 1.0], negative=True),
        _with_singular_values([3.0, 2.0, 1.0], negative=True),
        _with_singular_values([2.0, 1.0, 0.0]),
    ],
    ids=["identity", "scaled", "all-equal", "low-equal", "high-equal", "-high", "-", "singular"],
)
def test_gradient_where_autograd_through_the_svd_fails(m):
    assert gradcheck(nearest_rotation, m.clone().requires_grad_())


def test_autograd_through_the_svd_does_fail_at_the_identity():
    m = torch.eye(3, dtype=torch.float64, requires_grad=True)
    u, _, vh = torch.linalg.svd(m)
    (u @ vh)[0, 1].backward()
    assert not torch.isfinite(m.grad).all()


def test_gradient_equals_the_lie_algebra_form_at_a_rotation():
    rotation = _rotations(1)[0].requires_grad_()
    weight = _random(index=1)
    (nearest_rotation(rotation) * weight).sum().backward()
    inner = rotation.detach().T @ weight
    expected = rotation.detach() @ (inner - inner.T) / 2  # projection onto the tangent space
    torch.testing.assert_close(rotation.grad, expected)


@pytest.mark.parametrize(
    "m",
    [
        torch.zeros(3, 3),
        torch.ones(3, 3),
        torch.diag(torch.tensor([1.0, 1.0, -1.0])),
        -torch.eye(3),
        torch.full((3, 3), 1e-20),
    ],
    ids=["zero", "rank-one", "reflection", "inversion", "tiny"],
)
def test_gradient_is_finite_at_the_discontinuity(m):
    m = m.clone().requires_grad_()
    rotation = nearest_rotation(m)
    (rotation * torch.arange(9.0).reshape(3, 3)).sum().backward()
    assert torch.isfinite(m.grad).all()
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.tensor(1.0))


def test_non_finite_input_becomes_nan_for_that_matrix_only():
    m = torch.eye(3).repeat(3, 1, 1)
    m[1, 0, 2] = torch.inf
    rotation = nearest_rotation(m)
    assert torch.isnan(rotation[1]).all()
    assert torch.isfinite(rotation[[0, 2]]).all()


def test_stays_in_float32_under_autocast_and_for_bfloat16():
    m = _random(4).float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rotation = nearest_rotation(m)
        rotation[..., 0, 1].sum().backward()
    assert rotation.dtype == torch.float32
    torch.testing.assert_close(rotation, nearest_rotation(m.double()).float())
    outside = m.detach().clone().requires_grad_()
    nearest_rotation(outside)[..., 0, 1].sum().backward()
    torch.testing.assert_close(m.grad, outside.grad)
    assert nearest_rotation(m.detach().bfloat16()).dtype == torch.float32


def test_nine_numbers_are_rows_normalised_first():
    x = _random(5).flatten(-2)
    rows = x.reshape(5, 3, 3)
    expected = nearest_rotation(rows / rows.norm(dim=-1, keepdim=True))
    torch.testing.assert_close(rotation_from_nine(x), expected)
    # scaling a row changes nothing; scaling a column would
    scaled = (rows * torch.tensor([1.0, 2.0, 0.3], dtype=x.dtype)[:, None]).flatten(-2)
    torch.testing.assert_close(rotation_from_nine(scaled), expected)
    quarter = torch.tensor([0.0, -5.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    torch.testing.assert_close(
        rotation_from_nine(quarter), torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    )


def test_nine_numbers_have_a_correct_and_finite_gradient():
    assert gradcheck(rotation_from_nine, _random(4).flatten(-2).requires_grad_())
    zero = torch.zeros(2, 9, requires_grad=True)
    rotation_from_nine(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()
