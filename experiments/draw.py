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

  python experiments/draw.py run=<directory>[,...] against=<directory>[,...] benchmark=dynamic
                             output=FILE.png

Draws the same scenes of two arms: those where the first gains most on the second, gains the
median and loses most, by the paired difference in pointmap MSE over all the runs named (the same
seeds in the same order); shown is the first run of each. A sweep does this for its headline.
"""

COMPARISON = ("against", "benchmark", "output")


def main(arguments: list[str]) -> int:
    """Draw and print the paths."""
    own, rest = split_arguments(arguments, ("run", *COMPARISON))
    from flow3r.config import require

    require(not rest, f"unknown arguments {rest}; see --help")
    require("run" in own, "run=<run directory> is required; see --help")
    given = [name for name in COMPARISON if name in own]
    require(
        len(given) in (0, len(COMPARISON)),
        f"{given} without {[n for n in COMPARISON if n not in own]}; a comparison needs all of "
        f"{list(COMPARISON)}",
    )
    from experiments.figures import Side, draw_comparison, draw_run

    if given:
        sides = [Side(_label(own[name]), _directories(own[name])) for name in ("run", "against")]
        paths = [draw_comparison(*sides, own["benchmark"], Path(own["output"]).absolute())]
    else:
        paths = draw_run(Path(own["run"]).resolve())
    for path in paths:
        print(path)
    return 0


def _directories(value: str) -> list[Path]:
    return [Path(name).resolve() for name in value.split(",")]


def _label(value: str) -> str:
    """The formulation of the first run; arms are named by the sweep, which a run does not know."""
    from experiments.rundir import RunDirectory

    return RunDirectory(_directories(value)[0]).spec()["spec"]["formulation"]["name"]


if __name__ == "__main__":
    run_script(main, HELP)
