"""What VGGT's nine numbers mean, in our conventions.

The released code takes W/2, H/2 as the principal point of images whose corner is the origin. With
integer pixels as pixel centres the same point is ((W-1)/2, (H-1)/2).
"""

from __future__ import annotations

from torch import Tensor

from flow3r.geometry.camera import intrinsics_from_field_of_view
from flow3r.geometry.rotation import rotation_from_quaternion
from flow3r.geometry.se3 import inverse, make_transform

FIELD_OF_VIEW_RANGE = (0.01, 3.13)
"""Radians. Outside, the focal length would be infinite, zero or negative."""


def decode_pose(encoding: Tensor, image_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Encodings [..., 9] -> world_from_camera [..., 4, 4] and intrinsics [..., 3, 3] in pixels of
    images of `image_size` (H, W).
    """
    translation, quaternion, field_of_view = encoding.split([3, 4, 2], dim=-1)
    camera_from_world = make_transform(rotation_from_quaternion(quaternion), translation)
    field_of_view = field_of_view.clamp(*FIELD_OF_VIEW_RANGE)
    return inverse(camera_from_world), intrinsics_from_field_of_view(field_of_view, image_size)
