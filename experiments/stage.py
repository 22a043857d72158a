"""Compute one shared stage in its directory."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_worker, split_arguments

HELP = """
Compute one shared stage (data set, video clips, pretraining, chance scores).

  python experiments/stage.py spec=<output_dir>/stages/<stage id>/spec.json

A finished stage is skipped; an interrupted pretraining continues. Sweeps and train.py call this;
there is no need to do so by hand.
"""


def main(arguments: list[str]) -> int:
    """Read the spec and do the work."""
    from experiments.execute import StopFlag, execute
    from experiments.rundir import RunDirectory
    from experiments.threads import limit_threads
    from flow3r.errors import ConfigError

    own, rest = split_arguments(arguments, ("spec",))
    if rest or not own:
        raise ConfigError(f"expected spec=<stage directory>/spec.json, got {arguments}")
    directory = RunDirectory(Path(own["spec"]).resolve().parent)
    limit_threads(directory.spec()["runtime"]["threads"])
    return execute(directory, StopFlag().install())


if __name__ == "__main__":
    run_worker(main, HELP)
