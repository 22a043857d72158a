"""What it takes to label a large set of videos and to train on it: storage, time, bandwidth."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import number, run_script, split_arguments, whole_number  # noqa: E402

HELP = """
Estimate storage, teacher time and bandwidth for a set of unlabelled videos.

  python experiments/estimate.py                            800K videos, the paper's sizes
  python experiments/estimate.py videos=20000 size=112 frames=4 pairs=12 teacher_ms=80 devices=1

One JSON object per line on stdout: quantity, value, unit, formula. The first line has the inputs,
each of which can be given as name=value:

  videos              number of videos                     clips_per_video   taken from each
  frames              of a clip                            size              side of the frames, px
  pairs               labelled ordered pairs of a clip     pairs_used        of them in a step
  frame_bytes         stored per pixel of a frame          label_bytes       per pixel of a label
  teacher_ms          one ordered pair on one device       devices           that label, or train
  decode_ms           one clip on one CPU core             video_megabytes   one video as it comes
  clips_per_second    unlabelled clips that training uses on all devices together

frame_bytes and label_bytes were measured (six clips of sample videos, 224 px, lossless frames, DIS
with all pairs); all other numbers are assumptions, for a learned teacher and a model of the paper's
size. Measure your own with `experiments/benchmark.py case=labelling` and `case=loader`.
"""


def main(arguments: list[str]) -> int:
    """Parse, compute, print."""
    import json
    from dataclasses import asdict, fields

    from experiments.at_scale.costs import QUANTITIES, Inputs, estimate
    from flow3r.config import require

    types = {field.name: field.type for field in fields(Inputs)}
    own, rest = split_arguments(arguments, list(types))
    require(not rest, f"unknown arguments {rest}; valid names are {list(types)}")
    read = {"int": whole_number, "float": number}
    inputs = Inputs(**{name: read[types[name]](name, text) for name, text in own.items()})
    print(json.dumps({"inputs": asdict(inputs)}))
    for name, value in estimate(inputs).items():
        quantity = QUANTITIES[name]
        line = {"value": float(f"{value:.4g}"), "unit": quantity.unit, "formula": quantity.formula}
        print(json.dumps({"quantity": name, **line}))
    return 0


if __name__ == "__main__":
    run_script(main, HELP)
