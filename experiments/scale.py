"""Planning a run on a very large set of videos, timed on a manifest of invented ones."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script, split_arguments, whole_number  # noqa: E402

HELP = """
Plan an epoch over a manifest of invented videos: time and memory of every part.

  python experiments/scale.py                       800000 clips, dealt to 8 processes
  python experiments/scale.py clips=20000 processes=2

One JSON object per line on stdout: part, seconds, resident (MB in memory after it), and what was
checked. The parts: writing the manifest (which `prepare.py` does once), reading it, choosing 10 %
and 20 % of the clips by number and by share, the order of an epoch, the clips of every process in
some steps, the whole epoch step by step on one process with its memory at the beginning, in the
middle and at the end, and the same with three sources in given proportions.

  clips=N             in the manifest (800000), one of each video
  per_step=N          unlabelled clips of a step (64)
  processes=N         that share a step (8)
"""


def main(arguments: list[str]) -> int:
    """Parse, plan, print."""
    import json
    import tempfile
    from dataclasses import fields

    from experiments.at_scale.simulation import Settings, records
    from flow3r.config import require

    names = [field.name for field in fields(Settings)]
    own, rest = split_arguments(arguments, names)
    require(not rest, f"unknown arguments {rest}; valid names are {names}")
    settings = Settings(**{name: whole_number(name, text) for name, text in own.items()})
    with tempfile.TemporaryDirectory() as folder:
        for record in records(settings, Path(folder)):
            print(json.dumps(record), flush=True)
    return 0


if __name__ == "__main__":
    run_script(main, HELP)
