"""Point clouds as PLY files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow3r.files import write_atomically
from flow3r.inference.result import Reconstruction

_PROPERTIES = [
    ("x", "<f4", "float"),
    ("y", "<f4", "float"),
    ("z", "<f4", "float"),
    ("red", "u1", "uchar"),
    ("green", "u1", "uchar"),
    ("blue", "u1", "uchar"),
    ("confidence", "<f4", "float"),
    ("frame", "<u2", "ushort"),
]


def write_ply(path: Path, result: Reconstruction) -> None:
    """Write the points in binary little endian, atomically.

    The axes stay OpenCV's. Besides position and colour every point has its `confidence` and the
    index of its `frame`, which libraries' writers leave out.
    """
    points = np.empty(len(result.points), dtype=[(name, kind) for name, kind, _ in _PROPERTIES])
    for index, name in enumerate(("x", "y", "z")):
        points[name] = result.points[:, index]
    for index, name in enumerate(("red", "green", "blue")):
        points[name] = result.colours[:, index]
    points["confidence"] = result.point_confidence
    points["frame"] = result.point_frames
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment axes: x right, y down, z forward of the first camera (OpenCV)",
        f"element vertex {len(points)}",
        *(f"property {kind} {name}" for name, _, kind in _PROPERTIES),
        "end_header",
    ]
    content = "\n".join(header).encode("ascii") + b"\n" + points.tobytes()
    write_atomically(Path(path), lambda temporary: temporary.write_bytes(content))
