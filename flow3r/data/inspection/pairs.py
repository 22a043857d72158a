"""Two frames at a time: do depth maps and poses tell the same story?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flow3r.geometry.camera import project, unproject
from flow3r.geometry.covisibility import depth_agreement
from flow3r.geometry.se3 import inverse, transform_points

AGREE = 0.05
"""Relative difference up to which two depth maps agree."""
LEAST_IN_VIEW = 0.05
"""Share of the pixels that must land in the other picture for a pair to count."""


@dataclass(frozen=True)
class Views:
    """P ordered pairs of frames, source and target."""

    depth: Tensor  # [2, P, H, W] float64
    intrinsics: Tensor  # [2, P, 3, 3]
    world_from_camera: Tensor  # [2, P, 4, 4]


@dataclass(frozen=True)
class Consistency:
    """Per pair; NaN where fewer than `LEAST_IN_VIEW` of the source pixels land in the target."""

    share: Tensor  # [P] of the source pixels with depth, seen by the target with the same depth
    in_view: Tensor  # [P] share that lands in the target picture where it has depth
    depth_error: Tensor  # [P] median over what lands in the target picture, see below
    reprojection_px: Tensor  # [P] median over the same


def consistency(views: Views) -> Consistency:
    """How well the depth maps of both frames agree under the relative pose.

    A source pixel goes to the target by its own depth, takes the depth d that the target measured
    at the nearest pixel there, and comes back. Depth error: |z' - d| / z', z' being its depth in
    the target. Reprojection error: the distance to where it started, in pixels of the maps given.
    Occluded pixels are part of both medians.
    """
    source_from_target = inverse(views.world_from_camera[0]) @ views.world_from_camera[1]
    target_from_source = inverse(source_from_target)
    target_px, error = depth_agreement(*views.depth, *views.intrinsics, target_from_source)
    known = views.depth[0] > 0
    landed = error.isfinite()
    total = known.sum((-2, -1)).clamp_min(1)
    in_view = landed.sum((-2, -1)) / total
    enough = in_view >= LEAST_IN_VIEW
    met, back = _there_and_back(views, target_px, source_from_target)
    landed = landed & (met > 0)
    points = unproject(views.depth[0], views.intrinsics[0]).flatten(-3, -2)
    z = transform_points(target_from_source, points)[..., 2].view_as(met)
    return Consistency(
        (error <= AGREE).sum((-2, -1)) / total,
        in_view,
        torch.where(enough, _median((z - met).abs() / z, landed), torch.nan),
        torch.where(enough, _median(back, landed), torch.nan),
    )


def _there_and_back(
    views: Views, target_px: Tensor, source_from_target: Tensor
) -> tuple[Tensor, Tensor]:
    """Depth that a pixel meets in the target, and the distance in pixels between where it started
    and where it comes back to; both [P, H, W].
    """
    height, width = views.depth.shape[-2:]
    column = target_px[..., 0].round().clamp(0, width - 1).long()
    row = target_px[..., 1].round().clamp(0, height - 1).long()
    index = (row * width + column).flatten(-2)
    met = views.depth[1].flatten(-2).gather(-1, index)  # [P, H W]
    # The target's pixel is up to half a pixel from where the point landed: keep the direction.
    rays = torch.cat([target_px.flatten(-3, -2), torch.ones_like(met)[..., None]], -1)
    points = rays @ torch.linalg.inv(views.intrinsics[1]).mT * met[..., None]
    returned, _ = project(transform_points(source_from_target, points), views.intrinsics[0])
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    start = torch.stack([columns, rows], -1).flatten(0, 1).to(returned)
    return met.view_as(views.depth[0]), (returned - start).norm(dim=-1).view_as(views.depth[0])


def _median(values: Tensor, where: Tensor) -> Tensor:
    """[P] median over the last two dimensions, of the values where `where`; NaN: none."""
    return torch.where(where, values, torch.nan).flatten(-2).nanmedian(-1).values
