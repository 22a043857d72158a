"""Train and evaluate one run, from a spec or from overrides."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_worker, split_arguments

HELP = """
Train and evaluate one run.

  python experiments/train.py formulation=flow-factored seed=0 profile=laptop
  python experiments/train.py spec=<output_dir>/runs/<run id>/spec.json

With overrides the run is composed from experiments/configs (any Hydra override works, such as
training.stages.1.lr=1e-3, data.unlabelled_clips=256, runtime.device=cuda, output_dir=/some/dir),
missing shared stages are computed first, and the run directory is <output_dir>/runs/<run id>.
With spec= nothing but the run's own directory and its stages is read. The same command again
continues an interrupted run and skips a finished one.

Several processes, with one GPU each where there are GPUs, share every batch:

  python experiments/train.py profile=gpu runtime.processes=4
  torchrun --nproc_per_node=4 experiments/train.py spec=<output_dir>/runs/<run id>/spec.json

  runtime.parallel=ddp|fsdp     copies of the model, or parts of it (for a model too large for one)

  profile=smoke|laptop|gpu      formulation=3d-sup|flow-projective|flow-tracking|flow-factored
  model.init=FILE                start from released weights, a DINOv2 encoder, or a run of ours

Exit codes: 0 done, 1 failed (the reason is in status.json), 2 bad arguments, 75 interrupted after
a checkpoint.
"""


def main(arguments: list[str]) -> int:
    """Compose or read the spec, then train, evaluate and record."""
    from experiments.adoption import adopt_training
    from experiments.execute import StopFlag, ensure_stages, execute
    from experiments.exit_codes import DONE
    from experiments.processes import assemble
    from experiments.threads import limit_threads

    own, overrides = split_arguments(arguments, ("spec",))
    directory = _from_spec(own["spec"], overrides) if own else _from_overrides(overrides)
    content = directory.spec()
    limit_threads(content["runtime"]["threads"])
    stop = StopFlag().install()
    team = assemble(directory, content)

    def prepare() -> int:
        code = ensure_stages(content["spec"], content["runtime"], directory.output_dir, stop)
        if code == DONE and (other := adopt_training(directory)):
            print(f"trained as run {other} was: its training is taken over", flush=True)
        return code

    code = team.first(prepare)
    if code != DONE:
        return code
    if team.rank == 0:
        print(f"run directory: {directory.path}", flush=True)
    return team.leave(execute(directory, stop, team))


def _from_spec(path: str, overrides: list[str]):
    from experiments.rundir import RunDirectory
    from flow3r.errors import ConfigError

    if overrides:
        raise ConfigError(f"spec= fixes everything; it cannot be combined with {overrides}")
    return RunDirectory(Path(path).resolve().parent)


def _from_overrides(overrides: list[str]):
    from experiments.compose import compose
    from experiments.found_runs import FoundRuns
    from experiments.rundir import RunDirectory

    composed = compose(overrides)
    runs = composed.output_dir.resolve() / "runs"
    identity = FoundRuns(runs).run_id(composed.spec)
    return RunDirectory.create(runs / identity, "run", identity, composed.spec, composed.runtime)


if __name__ == "__main__":
    run_worker(main, HELP)
