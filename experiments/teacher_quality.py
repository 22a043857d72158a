"""Measure a flow teacher against exact flow, or against itself on real video."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script, split_arguments  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flow3r.teachers.base import Teacher

HELP = """
Measure a flow teacher: one JSON object per (size, motion, gap) on standard output.

  python experiments/teacher_quality.py teacher=dis
  python experiments/teacher_quality.py teacher=raft teacher.settings.weights=raft_large.pth
  python experiments/teacher_quality.py teacher=dis videos=/path/to/videos

  teacher=NAME          a file of experiments/configs/teacher
  teacher.settings.X=Y  one of the teacher's settings
  sizes=64,128          pixels a side
  motions=small,large   small, large (a video's successive frames), study (the study's own clips)
  gaps=1,2,4            frames from source to target
  clips=8               generated clips per size and motion
  device=cpu            where clips are rendered, and where raft and ufm run
  output=FOLDER         also write figures there (error against gap, example rows)
  videos=FOLDER         real video: cycle consistency, where there is no truth; sizes, gaps and
                        clips count as above (clips: of the whole folder), motions do not

End-point errors (epe/..., under_1px/..., in pixels and percent) are over truly covisible pixels:
all, static, moving, `edges` (next to an edge of the motion), and `kept`, those that the teacher
keeps too. Covisibility precision: percent of kept pixels that are covisible; recall: percent of
covisible pixels that are kept. Cycle: pixels from the start after going there and back, over kept
pixels. Both directions of every pair are counted.
"""

OWN = ("sizes", "motions", "gaps", "clips", "device", "output", "videos", "teacher")


def main(arguments: list[str]) -> int:
    """Measure and print."""
    own, rest = split_arguments(arguments, OWN)
    from experiments.teacher_choice import chosen_teacher
    from experiments.teacher_clips import MOTIONS
    from flow3r.config import require, require_choice

    teacher = chosen_teacher(own.get("teacher", ""), rest, own.get("device", "cpu"))
    sizes = _integers("sizes", own.get("sizes", "64,128"), 16)
    gaps = _integers("gaps", own.get("gaps", "1,2,4"), 1)
    [clips] = _integers("clips", own.get("clips", "8"), 1)
    output = Path(own["output"]) if "output" in own else None
    if "videos" in own:
        require("motions" not in own, "motions: of generated clips; leave it out with videos=")
        require(output is None, "output: figures need the truth; leave it out with videos=")
        from experiments.teacher_videos import measured_videos

        rows = measured_videos(teacher, own["videos"], sizes, gaps, clips)
        for row in rows:
            print(json.dumps(row), flush=True)
        return 0
    motions = own.get("motions", "small,large").split(",")
    for motion in motions:
        require_choice("motions", motion, MOTIONS)
    rows = []
    for row in measured(teacher, sizes, motions, gaps, clips, own.get("device", "cpu")):
        print(json.dumps(row), flush=True)
        rows.append(row)
    if output is not None:
        from experiments.figures.teacher import write_teacher_figures

        write_teacher_figures(output, teacher, rows)
    return 0


def measured(
    teacher: Teacher, sizes: list[int], motions: list[str], gaps: list[int], clips: int, device: str
) -> Iterator[dict[str, Any]]:
    """A row per (size, motion, gap); clips are rendered once per size and motion."""
    from experiments.teacher_clips import frames_of, judged_clip
    from flow3r.config import require
    from flow3r.teachers.quality import Quality, round_numbers

    for motion in motions:
        far = [g for g in gaps if g < frames_of(motion)]
        require(
            bool(far), f"gaps={gaps}: clips of motion {motion!r} have {frames_of(motion)} frames"
        )
        for size in sizes:
            found = {gap: Quality() for gap in far}
            seconds = dict.fromkeys(far, 0.0)
            for index in range(clips):
                clip = judged_clip(size, motion, index, device)
                for gap in far:
                    seconds[gap] += _judge(teacher, clip, gap, index, found[gap])
                print(f"{motion} {size} px: clip {index + 1}/{clips}", file=sys.stderr, flush=True)
            for gap in far:
                pairs = 2 * (frames_of(motion) - gap) * clips
                yield {
                    "teacher": teacher.name,
                    "settings": dict(teacher.settings),
                    "size": size,
                    "motion": motion,
                    "gap": gap,
                    "clips": clips,
                    "pairs": pairs,
                    "ms_per_pair": round(1000 * seconds[gap] / pairs, 2),
                    **round_numbers(found[gap].summary()),
                }


def _judge(teacher: Teacher, clip: Any, gap: int, index: int, quality: Any) -> float:
    """Count one clip's pairs of a gap, both ways; the seconds that labelling took."""
    import torch

    from flow3r.teachers.base import FlowLabels

    starts = range(len(clip.images) - gap)
    pairs = torch.tensor([(a, a + gap) for a in starts] + [(a + gap, a) for a in starts])
    began = time.perf_counter()
    labels = teacher.label(clip.images, pairs, truth=clip.flow, index=index)
    seconds = time.perf_counter() - began
    target_px, covisibility = clip.flow(pairs)
    quality.add(labels, target_px, covisibility, clip.moving[pairs[:, 0].to(clip.moving.device)])
    half = len(starts)
    there = FlowLabels(labels.target_px[:half], labels.covisibility[:half])
    back = FlowLabels(labels.target_px[half:], labels.covisibility[half:])
    quality.add_cycle(there, back)
    quality.add_cycle(back, there)
    return seconds


def _integers(name: str, text: str, least: int) -> list[int]:
    from flow3r.config import require

    parts = text.split(",")
    good = all(p.isdigit() and int(p) >= least for p in parts)
    require(good, f"{name}={text!r}: must be whole numbers >= {least}, separated by commas")
    return [int(p) for p in parts]


if __name__ == "__main__":
    run_script(main, HELP)
