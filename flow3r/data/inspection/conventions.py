"""Would the poses fit better if they, or the depth, meant something else?

Each alternative is a usual mistake. The share of pixels on which two frames agree tells: the right
convention has the largest one as soon as the camera moves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flow3r.data.inspection.pairs import Views, consistency
from flow3r.geometry.camera import pixel_rays
from flow3r.geometry.se3 import inverse

GAIN = 0.1
"""An alternative must agree on so much more of the pixels to be believed."""
SCALES = (0.001, 0.01, 0.1, 0.2, 5.0, 10.0, 100.0, 1000.0)
"""Metres, centimetres and millimetres confused; the 5000 of TUM for 1000 and the reverse."""


@dataclass(frozen=True)
class Verdict:
    """How well the data agree as they stand, and under the best alternative."""

    share: float
    """Mean over the pairs: pixels with depth that the other frame sees with the same depth."""
    best: str
    best_share: float

    @property
    def doubtful(self) -> bool:
        """Whether the alternative is clearly better."""
        return self.best_share > self.share + GAIN


def verdict(views: Views) -> Verdict:
    """The data as they are against every alternative."""
    as_is = _score(views)
    scores = {name: _score(change(views)) for name, change in ALTERNATIVES.items()}
    best = max(scores, key=scores.__getitem__)
    return Verdict(as_is, best, scores[best])


def _score(views: Views) -> float:
    return float(consistency(views).share.nan_to_num(0.0).mean())


def _poses(change: Callable[[Tensor], Tensor]) -> Callable[[Views], Views]:
    return lambda views: replace(views, world_from_camera=change(views.world_from_camera))


def _camera_axes(rows: list[list[float]]) -> Callable[[Tensor], Tensor]:
    def turned(pose: Tensor) -> Tensor:
        axes = torch.eye(4, dtype=pose.dtype)
        axes[:3, :3] = torch.tensor(rows, dtype=pose.dtype)
        return pose @ axes

    return turned


def _scaled(factor: float) -> Callable[[Tensor], Tensor]:
    def scaled(pose: Tensor) -> Tensor:
        pose = pose.clone()
        pose[..., :3, 3] *= factor
        return pose

    return scaled


def _z_from_distance(views: Views) -> Views:
    x, y = pixel_rays(views.intrinsics, *views.depth.shape[-2:])
    return replace(views, depth=views.depth / (x * x + y * y + 1).sqrt())


def _swapped(views: Views) -> Views:
    k = views.intrinsics.clone()
    k[..., 0, 0], k[..., 1, 1] = views.intrinsics[..., 1, 1], views.intrinsics[..., 0, 0]
    k[..., 0, 2], k[..., 1, 2] = views.intrinsics[..., 1, 2], views.intrinsics[..., 0, 2]
    return replace(views, intrinsics=k)


_OPENGL = _camera_axes([[1, 0, 0], [0, -1, 0], [0, 0, -1]])
_PYTORCH3D = _camera_axes([[-1, 0, 0], [0, -1, 0], [0, 0, 1]])
_NED = _camera_axes([[0, 0, 1], [1, 0, 0], [0, 1, 0]])

ALTERNATIVES: dict[str, Callable[[Views], Views]] = {
    "the poses map world to camera (inverted)": _poses(inverse),
    "the camera axes are OpenGL's (y up, z backward)": _poses(_OPENGL),
    "the poses map world to camera, with OpenGL axes": _poses(lambda p: _OPENGL(inverse(p))),
    "the camera axes are PyTorch3D's (x left, y up)": _poses(_PYTORCH3D),
    "the camera axes are x forward, y right, z down (AirSim)": _poses(_NED),
    "the depth is the distance along the ray, not z": _z_from_distance,
    "x and y of the intrinsics are swapped": _swapped,
    **{f"the translations are to be multiplied by {s:g}": _poses(_scaled(s)) for s in SCALES},
}
"""What may be meant instead -> the views if it were so."""
