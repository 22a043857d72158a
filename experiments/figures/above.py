"""Points and cameras seen from above, as on a floor plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.figures.rows import CloudRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRUE_COLOUR = "0.62"
TRUE_CAMERA = "black"
PREDICTED_CAMERA = "#D81B60"
SHOWN_POINTS = 8000
"""Dots drawn of each cloud: more fill the panel without showing more."""
SLAB = 0.5
"""Share of the points shown: those nearest to the cameras' height. Floor and ceiling would hide
everything else."""


def draw_above(ax: Axes, cloud: CloudRow) -> None:
    """Draw into a panel: x to the right, the first camera's viewing direction upward."""
    height = np.median(cloud.true_cameras[:, 1, 3])
    true = slab(cloud.truth, height)
    predicted = slab(cloud.predicted, height)
    ax.scatter(*cloud.truth[true][:, [0, 2]].T, s=3.0, color=TRUE_COLOUR, lw=0, zorder=1)
    shown = cloud.predicted[predicted][:, [0, 2]]
    ax.scatter(*shown.T, s=2.0, c=cloud.colours[predicted], lw=0, zorder=2)
    centres = np.concatenate([cloud.true_cameras, cloud.predicted_cameras])[:, :3, 3]
    frame_scene(ax, cloud.truth[true], centres)
    size = 0.09 * (ax.get_ylim()[1] - ax.get_ylim()[0])
    for true_camera, camera in zip(cloud.true_cameras, cloud.predicted_cameras):
        places = np.stack([true_camera[[0, 2], 3], camera[[0, 2], 3]])
        ax.plot(*places.T, color=PREDICTED_CAMERA, lw=0.6, ls=":", zorder=3)
        draw_camera(ax, true_camera, size, TRUE_CAMERA)
        draw_camera(ax, camera, size, PREDICTED_CAMERA)
    ax.set(xticks=[], yticks=[])


def slab(points: np.ndarray, height: float) -> np.ndarray:
    """Indices of the share of points nearest to a height, evenly thinned."""
    distance = np.abs(points[:, 1] - height)
    near = np.flatnonzero(distance <= np.quantile(distance, SLAB))
    return near[:: max(1, -(-len(near) // SHOWN_POINTS))]


def frame_scene(ax: Axes, points: np.ndarray, centres: np.ndarray) -> None:
    """Around points and camera centres [*, 3]; equal scale on both axes, no empty border."""
    centres = centres[:, [0, 2]]
    low, high = np.quantile(points[:, [0, 2]], [0.005, 0.995], axis=0)
    low, high = np.minimum(low, centres.min(axis=0)), np.maximum(high, centres.max(axis=0))
    middle, extent = (low + high) / 2, 1.12 * (high - low)
    box = ax.get_position()
    width, height = ax.figure.get_size_inches() * [box.width, box.height]
    unit = max(extent[0] / width, extent[1] / height) or 1.0  # scene units per inch
    ax.set_xlim(middle[0] - unit * width / 2, middle[0] + unit * width / 2)
    ax.set_ylim(middle[1] - unit * height / 2, middle[1] + unit * height / 2)


def draw_camera(ax: Axes, camera: np.ndarray, size: float, colour: str) -> None:
    """A dot at the centre, a triangle opening along the viewing direction; camera [4, 4]."""
    corners = np.array([[0.0, 0.0, 0.0], [-0.5, 0.0, 1.0], [0.5, 0.0, 1.0], [0.0, 0.0, 0.0]])
    outline = size * corners @ camera[:3, :3].T + camera[:3, 3]
    ax.plot(*outline[:, [0, 2]].T, color="white", lw=2.2, zorder=4, solid_joinstyle="round")
    ax.plot(*outline[:, [0, 2]].T, color=colour, lw=1.1, zorder=5, solid_joinstyle="round")
    ax.plot(*camera[[0, 2], 3], "o", color=colour, ms=2.4, mew=0, zorder=6)
