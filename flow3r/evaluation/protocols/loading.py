"""A recorded scene as a protocol shows it to a model and as it is scored."""

from __future__ import annotations

import numpy as np

from flow3r.data.framing import (
    Size,
    Window,
    framed_depth,
    framed_image,
    framed_intrinsics,
    largest_window,
)
from flow3r.data.scenes import Frame, Scene
from flow3r.errors import DataError
from flow3r.evaluation.protocols.frames import choose_frames
from flow3r.evaluation.protocols.protocol import Protocol, SizeRule
from flow3r.evaluation.protocols.size import input_size
from flow3r.evaluation.protocols.truth import SceneTruth


def protocol_scenes(protocol: Protocol, names: list[str]) -> list[str]:
    """The scenes of a split that belong to the benchmark, in the split's order.

    Raises DataError for a scene that the protocol names and the download lacks.
    """
    wanted = protocol.scenes or tuple(protocol.frames.listed) or tuple(names)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(
            f"{protocol.name}: {len(missing)} of {len(wanted)} scenes are not in split "
            f"{protocol.split!r}, the first is {missing[0]!r}"
        )
    return [name for name in names if name in wanted]


def protocol_frames(protocol: Protocol, scene: Scene) -> tuple[Frame, ...]:
    """The frames a model is shown, in its order; () where the scene is not in the benchmark.

    Where poses are compared, chosen frames without a true pose are left out: choosing others
    instead would change the distances between frames.
    """
    if protocol.frames.farthest and _farthest_camera(scene) > protocol.frames.farthest:
        return ()
    chosen = choose_frames(protocol.frames, len(scene.frames), scene.name)
    frames = tuple(scene.frames[index] for index in chosen)
    if not protocol.needs_poses:
        return frames
    return tuple(frame for frame in frames if frame.world_from_camera is not None)


def input_images(protocol: Protocol, frames: tuple[Frame, ...]) -> np.ndarray:
    """The model's input, uint8 [N, H, W, 3] RGB. Raises DataError where sizes differ."""
    images = []
    for frame in frames:
        image = frame.image()
        size, window = input_window(protocol.size, image.shape[:2])
        images.append(framed_image(image, window, size))
    return _stacked(protocol, "pictures", images)


def scene_truth(protocol: Protocol, scene: Scene, frames: tuple[Frame, ...]) -> SceneTruth:
    """The truth of the chosen frames at the size of the comparison.

    A frame without depth has none anywhere; a scene without any depth (or without calibration,
    where points are compared) has `depth` None. Raises DataError naming what is wrong.
    """
    loaded = [_compared(protocol.size, frame) for frame in frames]
    depths = [depth for depth, _ in loaded if depth is not None]
    known = bool(depths) and (protocol.family == "depth" or all(k is not None for _, k in loaded))
    poses = None
    if protocol.needs_poses:
        poses = np.stack([frame.world_from_camera for frame in frames])
    depth, intrinsics = None, None
    if known:
        none = np.zeros_like(depths[0])
        depth = _stacked(
            protocol, "depth maps", [none if d is None else d for d, _ in loaded], scene.name
        )
        if all(k is not None for _, k in loaded):
            intrinsics = np.stack([k for _, k in loaded])
    names = tuple(frame.name for frame in frames)
    return SceneTruth(scene.name, names, poses, depth, intrinsics, scene.metric)


def input_window(rule: SizeRule, source: Size) -> tuple[Size, Window]:
    """The model's input size and the part of a `source` picture that it shows."""
    size = input_size(rule, *source)
    if rule.fit == "cover":
        return size, largest_window(source, size)
    return size, Window(0.0, 0.0, *source)


def _farthest_camera(scene: Scene) -> float:
    poses = [frame.world_from_camera for frame in scene.frames]
    return max((float(np.linalg.norm(p[:3, 3])) for p in poses if p is not None), default=0.0)


def _compared(rule: SizeRule, frame: Frame) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Depth [H, W] and its calibration [3, 3] at the size of the comparison."""
    depth, intrinsics = frame.depth(), frame.intrinsics
    if depth is None:
        return None, intrinsics
    if rule.compare == "original":
        size = depth.shape
        source = size if intrinsics is None else frame.image().shape[:2]
        window = Window(0.0, 0.0, *source)
    else:
        source = frame.image().shape[:2]
        size, window = input_window(rule, source)
        depth = framed_depth(depth, source, window, size)
    framed = None if intrinsics is None else framed_intrinsics(intrinsics, window, size)
    return depth, framed


def _stacked(
    protocol: Protocol, what: str, arrays: list[np.ndarray], scene: str = ""
) -> np.ndarray:
    sizes = {array.shape[:2] for array in arrays}
    if len(sizes) != 1:
        at = f" of scene {scene}" if scene else ""
        raise DataError(f"{protocol.name}: {what}{at} have different sizes {sorted(sizes)}")
    return np.stack(arrays)
