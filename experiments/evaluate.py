"""Score a trained run, a released weights file or a rival's predictions."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script, split_arguments

HELP = """
Score a trained run on its test benchmarks, or a released weights file on those of a config.
With evaluation=: a run, weights or a rival's predictions on the field's benchmarks.

  python experiments/evaluate.py run=<output_dir>/runs/<run id>
  python experiments/evaluate.py run=<output_dir>/runs/<run id>/checkpoint/weights.pt
  python experiments/evaluate.py run=<run directory> predict=true device=cuda
  python experiments/evaluate.py weights=flow3r.safetensors size.pixels=112 profile=gpu
  python experiments/evaluate.py evaluation=sintel path=/data/sintel weights=flow3r.safetensors
  python experiments/evaluate.py evaluation=sintel path=/data/sintel predictions=rival/sintel

A run: by default its exported predictions are scored again, without the model: a changed metric
takes seconds. With predict=true, or where there are no predictions, the weights are run again.
Prints one row per benchmark and writes <run directory>/evaluation.json.

  predict=true|false   run the model again (default false)

A weights file: released Flow3r, pi3 or VGGT (.safetensors, .bin, .pt, .pth). The other arguments
are overrides as in train.py (profile=, model=, formulation=, size.pixels=, output_dir=, ...); model
and formulation are found in the file if not given. Prints what was imported and the table, and
writes a new directory <output_dir>/evaluations/<name of the file>[-2, -3, ...].

  device=auto|cpu|cuda where to run the model (default auto)

Benchmarks: predictions are made once per sequence, into <output_dir>/predictions, and scored from
these files by all cores; the same command continues after a kill, and scores again when all is
there. The record goes to <output_dir>/evaluations/<benchmark>-<id>.

  evaluation=NAMES     one of {protocols}, or several with commas
  path=FOLDER          the dataset as it was downloaded; path.<benchmark>=FOLDER for several
  weights=FILE|run=DIR|predictions=FOLDER   what is evaluated (docs/predictions.md: the format)
  output_dir=FOLDER    (default outputs)
  device=auto|cpu|cuda precision=auto|float32|bfloat16|float16   (auto: half precision on a GPU)
  memory=GIB           refuse what would take more; needs are stated before the work starts
  threads=N            cores to use (default all)
  size.width=112 frames.count=10 ...   a protocol's settings, as in experiments/configs/evaluation;
                       the result is marked as changed
"""


def main(arguments: list[str]) -> int:
    """Evaluate and print the summary."""
    if any(argument.startswith("evaluation=") for argument in arguments):
        from experiments.evaluation.command import evaluate_benchmarks

        return evaluate_benchmarks(dict(_pair(argument) for argument in arguments))
    own, rest = split_arguments(arguments, ("run", "weights", "predict", "device"))
    from flow3r.config import require

    require(
        len({"run", "weights"} & set(own)) == 1,
        "run=<run directory or checkpoint> is required, or weights=<file>; see --help",
    )
    records = _score_file(own, rest) if "weights" in own else _score_run(own, rest)
    _print(records)
    return 0


def _pair(argument: str) -> tuple[str, str]:
    from flow3r.config import require

    name, equals, value = argument.partition("=")
    require(bool(equals), f"{argument!r} is not understood; write arguments as name=value")
    return name, value


def _score_run(own: dict[str, str], rest: list[str]) -> dict:
    from flow3r.config import require, require_choice

    require(not rest, f"unknown arguments {rest}; see --help")
    require_choice("predict", own.get("predict", "false"), ("true", "false"))
    from experiments.rescoring import predict_again, score_again

    directory = find_run(Path(own["run"]))
    if own.get("predict") == "true" or not (directory / "predictions").exists():
        return predict_again(directory, own.get("device", "auto"))
    return score_again(directory)


def _score_file(own: dict[str, str], overrides: list[str]) -> dict:
    from flow3r.config import require

    require("predict" not in own, "predict= belongs to run=; see --help")
    from experiments.weights_scoring import score_weights

    device = [f"runtime.device={own['device']}"] if "device" in own else []
    scored = score_weights(Path(own["weights"]), [*overrides, *device])
    print(f"evaluation: {scored.directory}")
    return scored.records


def find_run(path: Path) -> Path:
    """The run directory of a run directory, of its checkpoint folder or of a file in there."""
    from flow3r.errors import DataError
    from flow3r.library import load

    run = load.find_run(path)
    if run is None:
        raise DataError(
            f"run={path}: neither a run directory nor a checkpoint in one (no spec.json)"
        )
    return run


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


def _help() -> str:
    folder = Path(__file__).parent / "configs" / "evaluation"
    return HELP.replace("{protocols}", ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))))


if __name__ == "__main__":
    run_script(main, _help())
