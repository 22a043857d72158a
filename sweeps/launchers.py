"""Our local executor against Hydra's joblib launcher: the same runs, in turn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

# The folder of this script would otherwise shadow other modules; the repository is what we import.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments.arguments import run_script, split_arguments, whole_number
from experiments.rundir import read_status
from flow3r.errors import ConfigError, DataError
from flow3r.files import read_json, write_json
from sweeps.timekeeping.slot_time import read_timeline
from sweeps.timekeeping.timeline import END

HELP = """
Wall time of the runs of a sweep: our local executor against Hydra's joblib launcher.

  pip install --target FOLDER --no-deps hydra-joblib-launcher==1.2.0 joblib
  python sweeps/launchers.py plugins=FOLDER output_dir=/tmp/launchers seeds=[0,1] repeats=3

  ours            sweeps/run.py, from its start to the end of the last run; planning and
                  leases included, figures and report not
  hydra-process   the reference: the launcher with n_jobs=slots, each job a process of train.py
  hydra-function  the launcher, each job a call of the same function in one of joblib's workers,
                  which runs share one after the other

Shared stages are computed before. Each variant starts from nothing but these and trains every run;
that the records are the same is checked. One JSON object per line: variant, seconds, ratio to the
reference of the same round, runs, load (of the machine, before it).

  plugins=FOLDER   where the launcher and joblib are (they are no dependencies of this project)
  output_dir=DIR   must not exist
  profile=smoke    sweep=formulations    seeds=[0,1]    slots=2    repeats=1
"""
_OWN = ("plugins", "output_dir", "profile", "sweep", "seeds", "slots", "repeats")
_SWEEP = {"sweep": "formulations", "profile": "smoke", "seeds": "[0,1]"}
REFERENCE = "hydra-process"
HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    """Compute the stages, then measure every variant in each round."""
    own, rest = split_arguments(arguments, _OWN)
    if rest or "plugins" not in own or "output_dir" not in own:
        raise ConfigError(f"expected plugins=FOLDER output_dir=DIR and {_OWN[2:]}, got {arguments}")
    base = Path(own["output_dir"]).absolute()
    if base.exists():
        raise ConfigError(f"output_dir={base} exists; name a new folder")
    slots = whole_number("slots", own.get("slots", "2"))
    words = [f"{name}={own.get(name, usual)}" for name, usual in _SWEEP.items()]
    _sweep(base / "first", words, slots)
    for round_ in range(whole_number("repeats", own.get("repeats", "1"))):
        seconds = {}
        for variant in (REFERENCE, "ours", "hydra-function"):
            folder = base / f"{variant}-{round_}"
            _prepare(base / "first", folder)
            load = os.getloadavg()[0]
            if variant == "ours":
                seconds[variant] = _sweep(folder, words, slots)
            else:
                calls = variant.removeprefix("hydra-")
                seconds[variant] = _hydra(folder, calls, slots, Path(own["plugins"]).absolute())
            runs = _checked(base / "first", folder)
            line = {"variant": variant, "seconds": round(seconds[variant], 2)}
            line["ratio"] = round(seconds[variant] / seconds[REFERENCE], 3)
            print(json.dumps({**line, "runs": runs, "slots": slots, "load": load}), flush=True)
    return 0


def _sweep(folder: Path, words: list[str], slots: int) -> float:
    """Our front door; seconds from its start to the end of the last job."""
    began = time.time()
    settings = [f"output_dir={folder}", f"slots={slots}", "tracking=false", "console=quiet"]
    subprocess.run(
        [sys.executable, str(HERE / "run.py"), *words, *settings], check=True, stdout=sys.stderr
    )
    sweep = words[0].partition("=")[2]
    ends = [event for event in read_timeline(folder, sweep) if event["event"] == END]
    return ends[-1]["time"] - began


def _hydra(folder: Path, calls: str, slots: int, plugins: Path) -> float:
    """The launcher, one thread per run as ours has it."""
    specs = ",".join(str(path) for path in sorted(folder.glob("runs/*/spec.json")))
    words = [f"calls={calls}", f"spec={specs}", "hydra/launcher=joblib"]
    words += [f"hydra.launcher.n_jobs={slots}", f"hydra.sweep.dir={folder / 'multirun'}"]
    environment = {**os.environ, "PYTHONPATH": str(plugins), "OMP_NUM_THREADS": "1"}
    began = time.time()
    subprocess.run(
        [sys.executable, str(HERE / "launcher_job.py"), "--multirun", *words],
        env=environment,
        check=True,
        stdout=sys.stderr,
    )
    return time.time() - began


def _prepare(first: Path, folder: Path) -> None:
    """The stages and the specs of the runs, nothing else."""
    folder.mkdir(parents=True)
    shutil.copytree(first / "stages", folder / "stages")
    for spec in first.glob("runs/*/spec.json"):
        write_json(folder / "runs" / spec.parent.name / "spec.json", read_json(spec))


def _checked(first: Path, folder: Path) -> int:
    """The number of runs; DataError where one is not done or scored otherwise than the first."""
    runs = sorted(path.parent.name for path in first.glob("runs/*/spec.json"))
    for name in runs:
        status = read_status(folder / "runs" / name)
        if status is None or status["state"] != "done":
            raise DataError(f"{folder / 'runs' / name} is not done")
        records = [
            read_json(where / "runs" / name / "evaluation.json") for where in (first, folder)
        ]
        if records[0] != records[1]:
            raise DataError(f"{folder / 'runs' / name} has other scores than the same run before")
    return len(runs)


if __name__ == "__main__":
    run_script(main, HELP)
