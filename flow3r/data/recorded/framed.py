"""A recorded frame at the size of the clips, with everything a label needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow3r.data.framing import (
    Size,
    Window,
    framed_depth,
    framed_image,
    framed_intrinsics,
    largest_window,
)
from flow3r.data.readers.intrinsics import checked_intrinsics
from flow3r.data.scenes import Frame
from flow3r.errors import DataError


@dataclass(frozen=True)
class Framing:
    """How frames are brought to one size."""

    size: Size
    centre: str = "principal-point"
    """Or `image`."""
    depth_limit: float = 0.0
    """Depths beyond it count as none; 0: no limit."""

    def window(self, image_size: Size, intrinsics: np.ndarray, share: float) -> Window:
        """The part of the picture that is kept: `share` of the largest one in height and width."""
        centre = tuple(intrinsics[:2, 2]) if self.centre == "principal-point" else None
        return largest_window(image_size, self.size, centre, share)


@dataclass(frozen=True)
class FramedFrame:
    """A frame of H x W pixels."""

    image: np.ndarray  # uint8 [H, W, 3]
    depth: np.ndarray  # float32 [H, W], 0 = none
    intrinsics: np.ndarray  # float64 [3, 3]
    world_from_camera: np.ndarray  # float64 [4, 4]


def framed(frame: Frame, framing: Framing, share: float = 1.0) -> FramedFrame:
    """Read a frame and bring `share` of it to size.

    Raises DataError naming the frame where a part is missing or wrong.
    """
    pose = required(frame, "pose", frame.world_from_camera)
    intrinsics = _intrinsics(frame)
    depth = required(frame, "depth", frame.depth())
    image = frame.image()
    window = framing.window(image.shape[:2], intrinsics, share)
    small = framed_depth(depth, image.shape[:2], window, framing.size)
    return FramedFrame(
        framed_image(image, window, framing.size),
        limited(small, framing.depth_limit),
        framed_intrinsics(intrinsics, window, framing.size),
        pose,
    )


def framed_geometry(frame: Frame, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth [h, w], intrinsics [3, 3] and pose [4, 4] of the whole frame on a thumbnail.

    Its longer side has `side` pixels. DataError as `framed`.
    """
    pose = required(frame, "pose", frame.world_from_camera)
    intrinsics = _intrinsics(frame)
    depth = required(frame, "depth", frame.depth())
    height, width = frame.image().shape[:2]
    scale = side / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    window = Window(0, 0, height, width)
    small = framed_depth(depth, (height, width), window, size)
    return small, framed_intrinsics(intrinsics, window, size), pose


def limited(depth: np.ndarray, limit: float) -> np.ndarray:
    """The depth map without what lies beyond the limit; 0: no limit."""
    return np.where(depth <= limit, depth, np.float32(0)) if limit else depth


def required(frame: Frame, what: str, value: np.ndarray | None) -> np.ndarray:
    """The value; DataError naming the frame and `what` it lacks where it is None."""
    if value is None:
        raise DataError(f"frame {frame.name} has no {what}, which a labelled clip needs")
    return value


def _intrinsics(frame: Frame) -> np.ndarray:
    intrinsics = required(frame, "intrinsics", frame.intrinsics)
    return checked_intrinsics(intrinsics, f"intrinsics of frame {frame.name}")
