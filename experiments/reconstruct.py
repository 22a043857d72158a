"""Reconstruct a video or a folder of images."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script, split_arguments

HELP = """
Reconstruct a video or a folder of images: points, cameras, depth.

  python experiments/reconstruct.py input=clip.mp4 weights=<output_dir>/runs/<run id>
  python experiments/reconstruct.py input=photos/ weights=flow3r.safetensors formats=ply,glb,rrd

Writes a new folder <output_dir>/reconstructions/<name of the input>[-2, -3, ...] with points.ply,
scene.glb (points and cameras), recording.rrd (for the rerun viewer), predictions.npz (depth, poses,
...), preview.png and summary.json.

  input=PATH           a video, a folder of images, or an image (required)
  weights=PATH         a run directory, a checkpoint in one, or released weights (required)
  output_dir=FOLDER    (default outputs)
  frames=N             at most N frames, evenly spread (default 16); with every=: the first N
  every=K              every K-th frame
  max_pixels=N         size of a frame (default: as the run was trained; released: 255000)
  shape=trained|input  the shape of the run's training clips, or of the input (default: trained;
                       released: input)
  fit=crop|stretch     how frames are brought to that shape (default: crop; released: stretch)
  confidence=NUMBER    points need more than this, in [0, 1) (default: 0; released: 0.1)
  edge=NUMBER          a relative depth jump that makes an edge, where the confidence is set to 0
                       (default: 0.03 at 255000 pixels, more for smaller images)
  formats=LIST         of ply, glb, rrd (default ply,glb; rrd needs: pip install rerun-sdk)
  formulation=NAME     whose flow head, where the weights leave a choice
  device=auto|cpu|cuda where the model runs (default auto)
  precision=auto|float32|bfloat16|float16   (default auto: half precision on a GPU only)
"""


def main(arguments: list[str]) -> int:
    """Reconstruct and say where everything is."""
    from experiments.reconstruction import Options, run_reconstruction

    own, rest = split_arguments(arguments, tuple(Options.__dataclass_fields__))
    from flow3r.config import require

    require(not rest, f"unknown arguments {rest}; see --help")
    options = Options.parse(own)
    from experiments.progress import showing_progress

    with showing_progress() as report:
        done = run_reconstruction(options, report)
    print(done.text())
    return 0


if __name__ == "__main__":
    run_script(main, HELP)
