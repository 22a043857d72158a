"""Points and cameras as a GLB file (binary glTF 2.0), through trimesh."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow3r.errors import ConfigError
from flow3r.files import write_atomically
from flow3r.inference.frusta import frame_colours, frustum_corners, frustum_depth, frustum_lines
from flow3r.inference.result import Reconstruction

GLTF_FROM_OPENCV = np.diag([1.0, -1.0, -1.0])
"""glTF: x right, y up, the camera looks along -z. OpenCV: x right, y down, z forward."""
_PATH_COLOUR = np.array([128, 128, 128], np.uint8)


def require_trimesh() -> ModuleType:
    """The trimesh module, imported only now. Raises ConfigError saying what to install."""
    try:
        import trimesh
    except ImportError as error:
        raise ConfigError(
            f"writing GLB needs trimesh, which cannot be imported ({error}); "
            "install it with: pip install trimesh"
        ) from error
    return trimesh


def write_glb(path: Path, result: Reconstruction) -> None:
    """Write the points, a frustum per camera and the camera's path, atomically.

    Nodes are `points`, `camera 000`, `camera 001`, ... and `camera path`. Axes are glTF's
    (`GLTF_FROM_OPENCV`), the first camera looks along -z. Colours are the images' own bytes, as
    other demos write them; glTF calls them linear, so a strict viewer shows them lighter.
    """
    trimesh = require_trimesh()
    scene = trimesh.Scene()
    colours = np.concatenate(
        [result.colours, np.full((len(result.colours), 1), 255, np.uint8)], axis=1
    )
    if len(result.points):
        cloud = trimesh.PointCloud(_to_gltf(result.points), colors=colours)
        scene.add_geometry(cloud, geom_name="points", node_name="points")
    corners = frustum_corners(result, frustum_depth(result))
    for index, colour in enumerate(frame_colours(len(corners))):
        name = f"camera {index:03d}"
        frustum = _lines(trimesh, corners[index], frustum_lines(), colour)
        scene.add_geometry(frustum, geom_name=name, node_name=name)
    if len(corners) > 1:
        steps = [(i, i + 1) for i in range(len(corners) - 1)]
        path_of_cameras = _lines(trimesh, corners[:, 0], steps, _PATH_COLOUR)
        scene.add_geometry(path_of_cameras, geom_name="camera path", node_name="camera path")
    content = scene.export(file_type="glb")
    write_atomically(Path(path), lambda temporary: temporary.write_bytes(content))


def _to_gltf(points: NDArray) -> NDArray[np.float64]:
    return points.astype(np.float64) @ GLTF_FROM_OPENCV


def _lines(
    trimesh: ModuleType, points: NDArray, ends: list[tuple[int, int]], colour: NDArray[np.uint8]
) -> Any:
    """A path of straight lines between some of the points [K, 3], in one colour."""
    entities = [trimesh.path.entities.Line(pair) for pair in ends]
    path = trimesh.path.Path3D(entities=entities, vertices=_to_gltf(points), process=False)
    path.colors = np.tile(np.append(colour, np.uint8(255)), (len(ends), 1))
    return path
