"""Draw the qualitative figures of a trained run."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script, split_arguments  # noqa: E402

HELP = """
Draw the qualitative figures of a trained run.

  python experiments/draw.py run=<output_dir>/runs/<run id>

Writes <run directory>/figures/<benchmark>.png from the run's exported predictions: the best, the
median and the worst test scene by pointmap MSE, with images, depth, flow and its error, and the
point cloud with its cameras. Figures newer than the predictions are kept; delete one to draw it
again.
"""


def main(arguments: list[str]) -> int:
    """Draw and print the paths."""
    own, rest = split_arguments(arguments, ("run",))
    from flow3r.config import require

    require(not rest, f"unknown arguments {rest}; see --help")
    require("run" in own, "run=<run directory> is required; see --help")
    from experiments.figures import draw_run

    for path in draw_run(Path(own["run"]).resolve()):
        print(path)
    return 0


if __name__ == "__main__":
    run_script(main, HELP)
