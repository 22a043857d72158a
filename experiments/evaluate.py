"""Score a trained run, or a checkpoint, on the test benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script, split_arguments

HELP = """
Score a trained run on its test benchmarks.

  python experiments/evaluate.py run=<output_dir>/runs/<run id>
  python experiments/evaluate.py run=<output_dir>/runs/<run id>/checkpoint/weights.pt
  python experiments/evaluate.py run=<run directory> predict=true device=cuda

By default the run's exported predictions are scored again, without the model: a changed metric
takes seconds. With predict=true, or where there are no predictions, the weights are run again.
Prints one row per benchmark and writes <run directory>/evaluation.json.

  predict=true|false   run the model again (default false)
  device=auto|cpu|cuda where to run it (default auto)
"""


def main(arguments: list[str]) -> int:
    """Evaluate and print the summary."""
    own, rest = split_arguments(arguments, ("run", "predict", "device"))
    from flow3r.config import require, require_choice

    require(not rest, f"unknown arguments {rest}; see --help")
    require("run" in own, "run=<run directory or checkpoint> is required; see --help")
    require_choice("predict", own.get("predict", "false"), ("true", "false"))
    from experiments.rescoring import predict_again, score_again

    directory = find_run(Path(own["run"]))
    if own.get("predict") == "true" or not (directory / "predictions").exists():
        records = predict_again(directory, own.get("device", "auto"))
    else:
        records = score_again(directory)
    _print(records)
    return 0


def find_run(path: Path) -> Path:
    """The run directory of a run directory, of its checkpoint folder or of a file in there."""
    from flow3r.errors import DataError

    for candidate in (path, *path.resolve().parents[:2]):
        if (candidate / "spec.json").exists():
            return candidate.resolve()
    raise DataError(f"run={path}: neither a run directory nor a checkpoint in one (no spec.json)")


def _print(records: dict) -> None:
    from flow3r.evaluation.names import METRICS

    names = [n for n in METRICS if any(n in r["summary"] for r in records.values())]
    width = max(map(len, names))
    print(f"{'':{width}}  " + "  ".join(f"{benchmark:>10}" for benchmark in records))
    for name in names:
        cells = (record["summary"].get(name) for record in records.values())
        print(f"{name:{width}}  " + "  ".join(_cell(c, METRICS[name].decimals) for c in cells))


def _cell(value: float | None, decimals: int) -> str:
    return f"{'-':>10}" if value is None else f"{value:>10.{decimals}f}"


if __name__ == "__main__":
    run_script(main, HELP)
