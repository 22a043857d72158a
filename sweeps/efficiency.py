"""How much of the slots' time went into useful work, from the records of a sweep."""

from __future__ import annotations

import json
import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script, split_arguments
from flow3r.errors import ConfigError

HELP = """
How much of the slots' time a sweep spent on useful work.

  python sweeps/efficiency.py output_dir=outputs
  python sweeps/efficiency.py output_dir=outputs sweep=formulations format=json

Read from reports/<sweep>/timeline.jsonl, which the scheduler writes (who held a slot and for how
long; several invocations add up), and from the status.json of each run (seconds of its parts). An
invocation that was killed ends with the last line it wrote. Runs that were done before the first
recorded invocation are not counted.

  slot time    slots x wall time, from the first start of a job to the end of the last: figures and
               report come after it
  training     optimiser steps and loading of their batches, without validation; steps that were
               lost by a kill and made again count twice
  evaluation   validation during training and test benchmarks after it, written predictions
               included
  stages       shared computations: all the time in which they held a slot
  overhead     a run's time in its slot that is neither: from the start of its process to the first
               step (imports, data, model, FLOP count, provenance), checkpoints and status files,
               the end of the process, until the scheduler has noticed
  idle         slots that nobody held
  efficiency   training / slot time; `work` counts evaluation and stages too

  sweep=NAME        only this one (all that have a timeline)
  format=text|json  one JSON object per sweep instead of words
"""


def main(arguments: list[str]) -> int:
    """Print a summary per sweep."""
    from sweeps.timekeeping.slot_time import account, in_text

    own, rest = split_arguments(arguments, ("output_dir", "sweep", "format"))
    if rest or own.get("format", "text") not in ("text", "json"):
        raise ConfigError(f"expected output_dir=, sweep=, format=text|json, got {arguments}")
    output_dir = Path(own.get("output_dir", "outputs"))
    show = json.dumps if own.get("format") == "json" else in_text
    for sweep in [own["sweep"]] if "sweep" in own else _recorded_sweeps(output_dir):
        print(show(account(output_dir, sweep)))
    return 0


def _recorded_sweeps(output_dir: Path) -> list[str]:
    found = sorted(path.parent.name for path in output_dir.glob("reports/*/timeline.jsonl"))
    if not found:
        raise ConfigError(f"output_dir={output_dir} holds no sweep with a timeline")
    return found


if __name__ == "__main__":
    run_script(main, HELP)
