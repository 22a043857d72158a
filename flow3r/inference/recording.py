"""Recordings for the rerun viewer. rerun-sdk is optional and large; it is imported on request."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow3r.errors import ConfigError
from flow3r.files import write_atomically
from flow3r.inference.frusta import frame_colours, frustum_depth
from flow3r.inference.result import Reconstruction

APPLICATION = "flow3r"
TIMELINE = "frame"
ARROWS_ACROSS = 32
"""Flow is drawn as about this many arrows along the longer side of the image."""


def require_rerun() -> ModuleType:
    """The rerun module, imported only now. Raises ConfigError saying what to install."""
    try:
        import rerun
    except ImportError as error:
        raise ConfigError(
            f"a recording needs rerun, which cannot be imported ({error}); "
            "install it with: pip install rerun-sdk"
        ) from error
    if not hasattr(rerun, "RecordingStream"):  # an unrelated package has the same import name
        raise ConfigError(
            "a recording needs rerun-sdk, but another package called rerun is installed; "
            "install it with: pip uninstall rerun && pip install rerun-sdk"
        )
    return rerun


def write_recording(path: Path, result: Reconstruction) -> None:
    """Write a .rrd file, atomically.

    On the timeline `frame`, frame i has `world/camera` (the pose) with, below it, the pinhole
    `image` and in it `rgb`, `depth`, `confidence` and `flow` (arrows to the next frame); its points
    are `world/points/<i>`, so that the cloud grows as the time passes.
    """
    rerun = require_rerun()

    def write(temporary: Path) -> None:
        with rerun.RecordingStream(APPLICATION) as stream:
            stream.save(temporary, default_blueprint=_layout())
            stream.log("world", rerun.ViewCoordinates.RIGHT_HAND_Y_DOWN, static=True)
            _log_path(rerun, stream, result)
            for index in range(len(result.names)):
                stream.set_time(TIMELINE, sequence=index)
                _log_camera(rerun, stream, result, index)
                _log_points(rerun, stream, result, index)
            stream.flush()
            stream.disconnect()

    write_atomically(Path(path), write)


def _layout() -> Any:
    """The scene on the left; the current frame, its depth and its confidence on the right."""
    from rerun import blueprint

    image = "world/camera/image"
    # The viewer would unproject the depth image into a second cloud.
    hidden = [f"- {image}/{name}/**" for name in ("depth", "confidence", "flow")]
    scene = blueprint.Spatial3DView(origin="world", contents=["world/**", *hidden])
    shown = {"image": ["rgb", "flow"], "depth": ["depth"], "confidence": ["confidence"]}
    views = [
        blueprint.Spatial2DView(
            origin=image, name=name, contents=[f"{image}/{entity}" for entity in entities]
        )
        for name, entities in shown.items()
    ]
    return blueprint.Blueprint(
        blueprint.Horizontal(scene, blueprint.Vertical(*views), column_shares=[3, 1]),
        collapse_panels=True,
    )


def _log_path(rerun: ModuleType, stream: Any, result: Reconstruction) -> None:
    centres = result.world_from_camera[:, :3, 3]
    stream.log("world/camera_path", rerun.LineStrips3D([centres]), static=True)


def _log_camera(rerun: ModuleType, stream: Any, result: Reconstruction, index: int) -> None:
    pose = result.world_from_camera[index]
    height, width = result.size
    intrinsics = result.intrinsics[index].copy()
    intrinsics[:2, 2] += 0.5  # rerun counts from the image's corner, we from a pixel's centre
    pinhole = rerun.Pinhole(
        image_from_camera=intrinsics,
        resolution=[width, height],
        camera_xyz=rerun.ViewCoordinates.RDF,
        image_plane_distance=frustum_depth(result),
        color=frame_colours(len(result.names))[index],
    )
    stream.log("world/camera", rerun.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
    stream.log("world/camera/image", pinhole)
    stream.log("world/camera/image/rgb", rerun.Image(result.images[index]))
    stream.log("world/camera/image/depth", rerun.DepthImage(result.depth[index], meter=1.0))
    confidence = np.rint(255 * result.confidence[index]).astype(np.uint8)
    stream.log("world/camera/image/confidence", rerun.Image(confidence))
    if result.flow_px is not None and index < len(result.flow_px):
        origins, vectors = flow_arrows(result.flow_px[index])
        arrows = rerun.Arrows2D(origins=origins + 0.5, vectors=vectors)
        stream.log("world/camera/image/flow", arrows)
    elif result.flow_px is not None:
        stream.log("world/camera/image/flow", rerun.Clear(recursive=False))


def _log_points(rerun: ModuleType, stream: Any, result: Reconstruction, index: int) -> None:
    keep = result.keep[index]
    points = rerun.Points3D(result.world_points[index][keep], colors=result.images[index][keep])
    values = rerun.AnyValues(confidence=result.confidence[index][keep])
    stream.log(f"world/points/{index:03d}", points, values)


def flow_arrows(flow: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    """A coarse grid of pixels [A, 2] and the flow [A, 2] there, without undefined ones."""
    height, width = flow.shape[:2]
    step = max(1, round(max(height, width) / ARROWS_ACROSS))
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    vectors = flow[rows, columns].reshape(-1, 2)
    origins = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    known = np.isfinite(vectors).all(axis=1)
    return origins[known], vectors[known]
