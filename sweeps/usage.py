"""The text of `python sweeps/run.py --help`, with the sweeps and profiles that exist."""

from __future__ import annotations

import re

from sweeps.options import CONFIGS, available

_TEXT = """\
Run a sweep: plan its runs, train and evaluate each once, track them, write the report.

  python sweeps/run.py sweep=NAME [options] [overrides]

Options
  sweep=NAME              the question to answer; one of the sweeps below
  profile=laptop          the size of everything; one of the profiles below
  output_dir=outputs      where runs, stages, reports and mlflow.db go
  dry_run=true            print the plan (runs, states, cost) and do nothing
  seeds=[0,1]             these seeds instead of the sweep's own; what was planned in this folder
                          of other seeds stays in the plan and in the report, but is not run now
  only=ARM,...            run these alone: arms, patterns such as '3d-*', or ids of runs (their
                          first six digits do); the plan and the report stay whole
  retry=all               which unfinished runs to look at: all, failed (those that failed before)
                          or none (all but those)
  tuned=true              the settings that sweep=tuning chose for each formulation
  slots=N                 runs at the same time (default: one per GPU, else one per core)
  per_gpu=1               runs that share one GPU; auto: as many as fit by their measured memory
  launcher=local          local: slots on this machine; inline: one after another, output shown;
                          slurm: jobs of a cluster, with slurm.NAME=value for what they ask for
  until=2h30m             stop after so long, with checkpoints; until=21:30 at that moment
  timeout=2h              end a job whose attempt takes longer (default: none)
  stall=30m               end a job that gave no sign of life for so long
  retries=1               new attempts for a run that was ended from outside or hung
  console=auto            live (a table), plain (lines), quiet (problems and the end) or json;
                          auto: live in a terminal, else plain
  report=true             write figures and report at the end (false: runs alone)
  tracking=true           project the runs to MLflow while they train
  tracking_uri=URI        default: sqlite:///<output_dir>/mlflow.db
                          A duration is seconds (90), or 90s, 45m, 2h30m, 1d12h.
Overrides
  name=value              any setting of the run config that the arms do not set,
                          e.g. training.optimiser.clip_norm=0.5 or runtime.device=cpu
sweep=benchmarks trains nothing; its settings are those of experiments/configs/sweep/benchmarks.yaml
  file=mine.yaml          a copy of it, filled in
  models.NAME.run=DIR     or .weights=FILE, or .predictions=FOLDER: what is evaluated
  benchmarks=[NAME,...]   paths.NAME=FOLDER: on what; size.width=112 and the like change protocols
  rescore=true            score finished evaluations again, from their predictions

The same command again continues where the last one stopped: finished runs are kept, half-done
runs go on from their checkpoint, failed ones are tried again. Ctrl-C stops after a checkpoint,
a second Ctrl-C at once. The exit code is 0 if every run is done, 1 if a run failed, 2 for a
mistake in the command, 130 if stopped.

Sweeps
{sweeps}
Profiles
{profiles}
Examples
  python sweeps/run.py sweep=formulations dry_run=true
  python sweeps/run.py sweep=formulations profile=smoke output_dir=/tmp/smoke
  python sweeps/run.py sweep=scaling seeds=[0,1]
  python sweeps/run.py sweep=benchmarks models.ours.run=outputs/runs/ID paths.sintel=/data/sintel
"""


def usage() -> str:
    """The whole help text."""
    return _TEXT.format(sweeps=_listing("sweep"), profiles=_listing("profile"))


def _listing(group: str) -> str:
    lines = [f"  {name:<12}  {_first_comment(group, name)}".rstrip() for name in available(group)]
    return "\n".join(lines) + ("\n" if lines else "")


def _first_comment(group: str, name: str) -> str:
    """What the config file says about itself: the first sentence of its first comment."""
    comment: list[str] = []
    for line in (CONFIGS / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").strip()
        if text and not text.startswith("@"):
            comment.append(text)
    return re.split(r"(?<=[.?])\s", " ".join(comment), maxsplit=1)[0]
