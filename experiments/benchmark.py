"""Time and memory of the parts of a run, against named references."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script

HELP = r"""
Measure time and memory against a reference that runs in turn with what is measured.

  python experiments/benchmark.py case=factored_head
  python experiments/benchmark.py case=forward model=pi3-large frames=2 size=224 repeats=3
  python experiments/benchmark.py case=profile model=pi3-large device=cuda precision=bfloat16
  python experiments/benchmark.py case=forward model=pi3-large device=cuda \
      frames=2,8,24 size=224,518 compile=true

  case=forward        a forward pass: float32 against bfloat16 and compiled; FLOPs, relative error
  case=train_step     forward, losses, backward, optimiser; against bfloat16, checkpointing, a
                      frozen encoder, the fused optimiser, and compiled
  case=factored_head  the factored flow head against the released concatenation (paper size)
  case=attention      one attention layer against one that is written out
  case=losses         the 3D and flow losses, forward and backward, against a loop over clips
  case=loader         loading the batch of a training step, against that step; worker processes
                      that load ahead: batches per second, training that they feed, memory of all
                      processes at the start, in the middle and at the end
  case=video_input    frames of clips out of a store, against decoding the video
  case=labelling      decoding, labelling and storing a clip, against OpenCV's flow calls in it
  case=profile        the operations that take most of a forward or training step

  model=NAME          a config of experiments/configs/model (pi3-study, pi3-large, ...)
  formulation=NAME    whose flow head runs (flow-factored)
  frames=N,...        frames of a clip; several values are measured one after the other
  size=PX,...         side of the square images, a multiple of the patch size; likewise
  batch=N             clips
  pairs=all|N         ordered pairs of frames with flow
  device=cpu|cuda     precision=float32|bfloat16 (train_step, attention, profile)
  compile=true|false  also measure with torch.compile (forward, train_step)
  gradients=true|false  also time the backward pass (factored_head, attention)
  part=forward|train_step  what case=profile looks at
  workers=N           of loader (2)                        steps=N  batches that they load (200)
  videos=FOLDER       of video_input and labelling (a video that is made for it)
  repeats=N           interleaved repetitions (5)          threads=N  of torch on a CPU (1)

Sizes that are not given are those the model is trained with: 8 frames of 224 px, one clip; for
pi3-study and vggt-study 24 clips of 2 frames of 48 px. The paper's model is the default of
factored_head and attention, the default study's of the others. One JSON object per line on stdout
with case, variant, reference, seconds (median), ratio (variant/reference, median of the ratios of
neighbouring repetitions; null for the reference), peak_bytes, the spread, and all it takes to
repeat the line; progress on stderr. cpu_seconds and cpu_ratio are the same in CPU time, which is
what to look at on a machine that does other things. peak_bytes is torch.cuda.max_memory_allocated
on a GPU, weights included; on a CPU, by how much the peak resident memory of one call exceeds what
was resident before it (Linux; null elsewhere).
"""


def main(arguments: list[str]) -> int:
    """Parse, measure, print."""
    from experiments.benchmarks.settings import parse

    every = parse(arguments)
    from experiments.benchmarks.run import run

    for settings in every:
        run(settings)
    return 0


if __name__ == "__main__":
    run_script(main, HELP)
