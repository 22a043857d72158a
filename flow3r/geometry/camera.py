"""Pinhole cameras. Intrinsics in pixels; integer pixel coordinates are pixel centres."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.geometry.precision import never_half

MIN_DEPTH = 0.05
"""Depth is clamped here in the perspective division (and points below it count as not in front):
at the scale of the predictions, whose mean distance is about 1, it keeps flow and its gradient
finite. Stable in the small-scale study; without it projective training diverged."""
_MIN_POSITIVE = 1e-6


def pixel_grid(
    height: int,
    width: int,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Pixel coordinates (x, y) of every pixel centre, [H, W, 2]."""
    x = torch.arange(width, device=device, dtype=dtype)
    y = torch.arange(height, device=device, dtype=dtype)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def size_like(height: int, width: int, like: Tensor) -> Tensor:
    """(width, height), [2], filled in on the device of `like`.

    `new_tensor` would copy from the host, which waits until the accelerator has caught up.
    """
    return torch.stack([like.new_full((), width), like.new_full((), height)])


@never_half
def unproject(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Depth [..., H, W] and intrinsics [..., 3, 3] to points in camera axes [..., H, W, 3].

    Zero depth (no measurement) gives the origin.
    """
    x, y = pixel_rays(intrinsics, depth.shape[-2], depth.shape[-1])
    return torch.stack([x * depth, y * depth, depth], dim=-1)


@never_half
def pixel_rays(intrinsics: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """x/z [..., H, W] and y/z [..., H, 1] of the ray through every pixel centre."""
    k = intrinsics[..., None, None]  # [..., 3, 3, 1, 1]
    columns = torch.arange(width, device=k.device, dtype=k.dtype)
    rows = torch.arange(height, device=k.device, dtype=k.dtype)[:, None]
    y = (rows - k[..., 1, 2, :, :]) / k[..., 1, 1, :, :]
    x = (columns - k[..., 0, 2, :, :] - k[..., 0, 1, :, :] * y) / k[..., 0, 0, :, :]
    return x, y


@never_half
def project(points: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Points in camera axes [..., 3] to pixels [..., 2] and depth z [...].

    `intrinsics` [..., 3, 3]: its leading dimensions line up with the *first* leading dimensions of
    `points`, e.g. [B, P, 3, 3] with [B, P, H, W, 3]. The division uses max(z, MIN_DEPTH), so pixels
    are finite for every finite point; the z returned is not clamped.
    """
    for _ in range(points.ndim - 1 - (intrinsics.ndim - 2)):
        intrinsics = intrinsics.unsqueeze(-3)
    k = intrinsics
    x, y, z = points.unbind(dim=-1)
    inverse_z = 1 / z.clamp_min(MIN_DEPTH)
    u = (k[..., 0, 0] * x + k[..., 0, 1] * y) * inverse_z + k[..., 0, 2]
    v = k[..., 1, 1] * y * inverse_z + k[..., 1, 2]
    return torch.stack([u, v], dim=-1), z


@never_half
def resize_intrinsics(
    intrinsics: Tensor, from_size: tuple[int, int], to_size: tuple[int, int]
) -> Tensor:
    """Intrinsics [..., 3, 3] of an image of `from_size` after resizing it to `to_size`, (H, W).

    Half-pixel convention: the image's outer border stays the border, x' + 0.5 = (x + 0.5) W'/W.
    """
    scale_y, scale_x = (to / of for to, of in zip(to_size, from_size))
    first, second, third = intrinsics.unbind(dim=-2)
    last_column = torch.eye(3, dtype=intrinsics.dtype, device=intrinsics.device)[2]
    first = first * scale_x + last_column * (0.5 * scale_x - 0.5)
    second = second * scale_y + last_column * (0.5 * scale_y - 0.5)
    return torch.stack([first, second, third], dim=-2)


@never_half
def intrinsics_from_field_of_view(field_of_view: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Intrinsics [..., 3, 3] from angles (vertical, horizontal) [..., 2] in radians, in (0, pi).

    f = (side / 2) / tan(angle / 2): the angle spans the image from border to border. The principal
    point is the image centre ((W-1)/2, (H-1)/2).
    """
    height, width = image_size
    tangent = torch.tan(field_of_view / 2)
    focal_y, focal_x = height / 2 / tangent[..., 0], width / 2 / tangent[..., 1]
    return _centred_intrinsics(focal_x, focal_y, image_size)


@never_half
def recover_intrinsics(local_points: Tensor) -> Tensor:
    """Intrinsics [..., 3, 3] that best explain points in camera axes [..., H, W, 3].

    The principal point is the image centre ((W-1)/2, (H-1)/2); the focal length of each axis is the
    least-squares solution of pixel - centre = f * x/z over the pixels with z > 0 (pi3's
    `recover_intrinsic_from_rays_d`, per axis). Differentiable. Without any z > 0, f = 0.
    """
    height, width = local_points.shape[-3:-1]
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    x, y, z = local_points.unbind(dim=-1)
    in_front = z > _MIN_POSITIVE
    inverse_z = in_front / z.clamp_min(_MIN_POSITIVE)
    columns = torch.arange(width, device=z.device, dtype=z.dtype) - centre_x
    rows = torch.arange(height, device=z.device, dtype=z.dtype)[:, None] - centre_y
    focal_x = _slope(x * inverse_z, columns)
    focal_y = _slope(y * inverse_z, rows)
    return _centred_intrinsics(focal_x, focal_y, (height, width))


def _centred_intrinsics(focal_x: Tensor, focal_y: Tensor, image_size: tuple[int, int]) -> Tensor:
    """[...] focal lengths in pixels -> [..., 3, 3], with the image centre as principal point."""
    height, width = image_size
    zero, one = torch.zeros_like(focal_x), torch.ones_like(focal_x)
    centre_x, centre_y = zero + (width - 1) / 2, zero + (height - 1) / 2
    entries = [focal_x, zero, centre_x, zero, focal_y, centre_y, zero, zero, one]
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def _slope(ratio: Tensor, offset: Tensor) -> Tensor:
    """argmin_f sum (offset - f * ratio)^2 over the last two dimensions."""
    numerator = (ratio * offset).sum(dim=(-2, -1))
    return numerator / ratio.square().sum(dim=(-2, -1)).clamp_min(_MIN_POSITIVE)
