"""Render a contact sheet of the generated world."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script, split_arguments  # noqa: E402

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from flow3r.data.world import GeneratedClip

HELP = """
Render a contact sheet of the generated world.

  python experiments/contact_sheet.py output=docs/figures/world.png

A static and a dynamic clip of the domains source (pretraining), target (training) and target-test
(test scenes: withheld textures and a withheld shape): three frames, depth, flow and masks.

  output=PATH.png   where to write it (required)
  width=PIXELS      of the whole sheet (default 1000)
  seed=INTEGER      of the generated clips (default: the picture in the README)
"""

SEED = 11
CLIPS = {  # of SEED, picked by eye for variety
    ("source", False): 5,
    ("source", True): 0,
    ("target", False): 0,
    ("target", True): 3,
    ("target-test", False): 0,
    ("target-test", True): 1,
}
HEADS = ("frame 1", "frame 2", "frame 3", "depth", "flow 1 to 2", "moving (dark: hidden in 2)")
SIZE = (192, 256)  # of the rendered clips: larger than shown, so that they shrink smoothly
DOTS = 100  # per inch
LEFT, TOP, GAP = 0.22, 0.22, 0.03  # inches


def main(arguments: list[str]) -> int:
    """Render and write."""
    own, rest = split_arguments(arguments, ("output", "width", "seed"))
    from flow3r.config import require

    require(not rest, f"unknown arguments {rest}; see --help")
    output = Path(own.get("output", ""))
    require(output.suffix == ".png", f"output={str(output)!r} must name a .png file")
    width = _integer("width", own.get("width", "1000"), 300)
    seed = _integer("seed", own.get("seed", str(SEED)), 0)
    from experiments.figures.png import write_png

    write_png(output, draw_world(seed, width / DOTS), DOTS)
    print(output)
    return 0


def _integer(name: str, text: str, least: int) -> int:
    from flow3r.config import require

    require(text.isdigit() and int(text) >= least, f"{name}={text!r} must be >= {least}")
    return int(text)


def draw_world(seed: int, width: float) -> Figure:
    """The sheet as a figure, `width` inches wide: a row per domain and kind of scene."""
    from matplotlib.figure import Figure

    across = (width - LEFT) / len(HEADS)
    up = across * SIZE[0] / SIZE[1]
    height = TOP + len(CLIPS) * up
    figure = Figure(figsize=(width, height))
    for row, ((domain, dynamic), index) in enumerate(CLIPS.items()):
        bottom = height - TOP - (row + 1) * up
        for column, cell in enumerate(clip_cells(_render(domain, dynamic, seed, index))):
            left = LEFT + column * across
            place = (left / width, bottom / height, (across - GAP) / width, (up - GAP) / height)
            ax = figure.add_axes(place)
            ax.imshow(cell, aspect="auto", interpolation="antialiased")
            ax.axis("off")
        label = f"{domain}, {'dynamic' if dynamic else 'static'}"
        middle = (0.45 * LEFT / width, (bottom + up / 2) / height)
        figure.text(*middle, label, rotation=90, ha="center", va="center", fontsize=7.5)
    for column, head in enumerate(HEADS):
        centre = (LEFT + (column + 0.5) * across) / width
        figure.text(centre, 1 - 0.5 * TOP / height, head, ha="center", va="center", fontsize=8)
    return figure


def _render(domain: str, dynamic: bool, seed: int, index: int) -> GeneratedClip:
    from flow3r.data.world import generate_clip, world_config

    height, width = SIZE
    # Without sensor noise, which would be the larger part of the file.
    config = world_config(domain, frames=3, height=height, width=width, dynamic=dynamic, noise=0.0)
    return generate_clip(config, seed, index)


def clip_cells(clip: GeneratedClip) -> list[np.ndarray]:
    """The pictures of a clip's row in the order of `HEADS`, RGB [H, W, 3] each."""
    import numpy as np

    from experiments.figures.colours import depth_colours, flow_colours

    target_px, covisible = (value[0].numpy() for value in clip.flow([(0, 1)]))
    height, width = target_px.shape[:2]
    flow = target_px - np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    depth = clip.depth[0].numpy()
    seen = covisible > 0
    shown = np.linalg.norm(flow, axis=-1)[seen] if seen.any() else np.ones(1)
    return [
        *clip.images.permute(0, 2, 3, 1).numpy().clip(0, 1),
        depth_colours(depth, (depth.min(), depth.max())),
        flow_colours(flow, float(np.quantile(shown, 0.97))),
        mask_colours(clip.moving[0].numpy(), seen),
    ]


def mask_colours(moving: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Masks [H, W] as RGB: moving orange, static grey; darker where not seen in the other frame."""
    import numpy as np

    colours = np.where(moving[..., None], [0.90, 0.47, 0.13], [0.86, 0.86, 0.86])
    return np.where(seen[..., None], colours, 0.45 * colours)


if __name__ == "__main__":
    run_script(main, HELP)
