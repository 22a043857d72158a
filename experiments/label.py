"""Label the clips of a manifest with a flow teacher, in several processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script, split_arguments  # noqa: E402

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from experiments.labelling.job import LabelJob

HELP = """
Label the clips of a manifest: frames and a teacher's flow go into a store that all runs share.

  python experiments/label.py manifest=clips/manifest.parquet size=48 output_dir=outputs workers=4
  python experiments/label.py manifest=M teacher=raft teacher.settings.weights=FILE store=FOLDER
  python experiments/label.py manifest=M size=48 output_dir=outputs verify=true

  manifest=FILE         what experiments/prepare.py wrote
  spec=FILE             instead: the spec.json of a run's pseudo-labels stage, with its settings
  teacher=dis           a file of experiments/configs/teacher (dis, raft, ufm)
  teacher.settings.X=Y  one of the teacher's settings
  size=64               pixels of the clips: a side, or HEIGHTxWIDTH
  short_side=192        the teacher works on larger frames, of about this short side
  max_gap=N             only pairs at most N of the clip's frames apart (all pairs)
  frames.name=lossless  how frames are kept: lossless, jpeg, webp   frames.quality=95
  output_dir=outputs    the store is <output_dir>/store   store=FOLDER  or here
  clips=N               only the first N in the order that a run takes them (all)
  workers=1             processes; learned teachers go round all GPUs
  device=auto           of learned teachers: auto, cpu, cuda, cuda:<n>
  part=i/n              the i-th of n parts, for several machines with one store
  verify=true           first read everything, name what is damaged, and make it again

What the store has is not made again, so the same command continues after any interruption, kill -9
included; SIGTERM and Ctrl-C stop after the clips at hand. A run with the same settings
(data.videos.manifest=FILE, the same size and teacher) finds its labels there. Clips that fail are
counted with their reasons. One JSON object on standard output, progress on standard error. Exit
codes: 0 done, 2 bad arguments or no clip that could be labelled, 75 stopped.
"""

OWN = (
    "manifest",
    "spec",
    "teacher",
    "size",
    "short_side",
    "max_gap",
    "frames.name",
    "frames.quality",
    "output_dir",
    "store",
    "clips",
    "workers",
    "device",
    "part",
    "verify",
)


def main(arguments: list[str]) -> int:
    """Label, and say what became of the clips."""
    own, rest = split_arguments(arguments, OWN)
    from experiments.execute import StopFlag
    from experiments.exit_codes import DONE, INTERRUPTED
    from experiments.labelling.run import choose_devices, label_rows, part_of, require_some
    from experiments.labelling.verify import repair
    from experiments.progress import lines_with_eta
    from experiments.threads import limit_threads
    from flow3r.config import require_choice

    require_choice("verify", own.get("verify", "false"), ("true", "false"))
    stop = StopFlag().install()
    limit_threads(1)
    job = _job(own, rest)
    rows = part_of(_rows(job, own), own.get("part", "1/1"))
    workers = _whole_number("workers", own.get("workers", "1"))
    devices = choose_devices(job.teacher["name"], own.get("device", "auto"), workers)
    damaged = []
    if own.get("verify") == "true":
        for line in repair(job, rows):
            print(f"damaged: {line}", file=sys.stderr, flush=True)
            damaged.append(line)
    outcome = label_rows(job, rows, devices, stop, lines_with_eta("labels", sys.stderr))
    require_some(job, outcome)
    found = outcome.summary() | {"store": str(job.store), "damaged": damaged}
    print(json.dumps(found), flush=True)
    return DONE if outcome.complete else INTERRUPTED


def _job(own: dict[str, str], rest: list[str]) -> LabelJob:
    from experiments.labelling.job import LabelJob
    from experiments.teacher_choice import teacher_config
    from flow3r.config import require

    require(
        ("manifest" in own) != ("spec" in own),
        "give either manifest=FILE or spec=FILE of a pseudo-labels stage; see --help",
    )
    if "spec" in own:
        return _job_of_stage(own, rest)
    name, settings = teacher_config(own.get("teacher", "dis"), rest)
    return LabelJob(
        Path(own["manifest"]),
        _labels(own),
        {"name": name, "settings": settings},
        Path(own.get("store") or Path(own.get("output_dir", "outputs")) / "store"),
    )


def _job_of_stage(own: dict[str, str], rest: list[str]) -> LabelJob:
    from experiments.rundir import RunDirectory
    from experiments.work.pseudo_labels import job_of
    from flow3r.config import require

    extra = sorted(set(own) - {"spec", "workers", "device", "part", "verify", "store"})
    require(not extra and not rest, f"spec= fixes the settings; leave out {extra + rest}")
    directory = RunDirectory(Path(own["spec"]).resolve().parent)
    content = directory.spec()
    require(content["kind"] == "pseudo-labels", f"{own['spec']}: not of a pseudo-labels stage")
    if "store" in own:
        content["runtime"]["store"] = own["store"]
    return job_of(content, directory.output_dir)


def _rows(job: LabelJob, own: dict[str, str]) -> NDArray[np.int64]:
    """The rows to label, neighbours in a video next to each other."""
    import numpy as np

    if "clips" not in own:
        return np.arange(len(job.manifest))
    return np.sort(job.order()[: _whole_number("clips", own["clips"])])


def _labels(own: dict[str, str]) -> dict:
    """LabelSettings as plain values."""
    sides = [_whole_number("size", side) for side in own.get("size", "64").split("x")]
    labels = {"size": [sides[0], sides[-1]]}
    for name in ("short_side", "max_gap"):
        if name in own:
            labels[name] = _whole_number(name, own[name])
    frames = {}
    if "frames.name" in own:
        frames["name"] = own["frames.name"]
    if "frames.quality" in own:
        frames["quality"] = _whole_number("frames.quality", own["frames.quality"])
    return {**labels, "frames": frames}


def _whole_number(name: str, text: str) -> int:
    from flow3r.config import require

    require(text.isdecimal(), f"{name}={text!r} is not a whole number")
    return int(text)


if __name__ == "__main__":
    run_script(main, HELP)
