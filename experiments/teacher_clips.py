"""The clips that a teacher is judged on: generated, with exact truth, in named kinds of motion.

Motions are defined by what the camera and the objects do per frame (so they hold at any size), set
so that the true flow has about the stated size at 128 px and gap 1; no clip is chosen by its look.
  small: mean 2 px, 95 % quantile 4 px      large: mean 5.5 px, 95 % quantile 10 px
The camera pans steadily, to the right in even clips and to the left in odd ones, so that the motion
grows with the gap. Sensor noise and exposure drift are those of the study's target domain.
  study: the study's own frames, a wide baseline apart; they have no frames between
"""

from __future__ import annotations

from typing import Any

from flow3r.data.world import GeneratedClip, WorldConfig, generate_clip

SEED = 71
FRAMES = 5
MOTIONS: dict[str, dict[str, Any]] = {
    "small": {
        "baseline": (0.018, 0.044),
        "yaw": (0.36, 1.44),
        "pitch": (-0.4, 0.4),
        "roll": (-0.2, 0.2),
        "object_speed": (0.008, 0.032),
        "object_turn": (-2.0, 2.0),
        "moving_share": (0.04, 0.24),
    },
    "large": {
        "baseline": (0.045, 0.11),
        "yaw": (0.9, 3.6),
        "pitch": (-1.0, 1.0),
        "roll": (-0.5, 0.5),
        "object_speed": (0.02, 0.08),
        "object_turn": (-5.0, 5.0),
        "moving_share": (0.04, 0.24),
    },
    "study": {"frames": 2},
}


def judged_clip(size: int, motion: str, index: int, device: str = "cpu") -> GeneratedClip:
    """Clip `index` of size x size pixels, of moving objects before a moving camera."""
    settings = dict(MOTIONS[motion])
    if index % 2 and "yaw" in settings:
        low, high = settings["yaw"]
        settings["yaw"] = (-high, -low)
    world = {"frames": FRAMES, "height": size, "width": size, "dynamic": True, **settings}
    return generate_clip(WorldConfig(**world), SEED, index, device)


def frames_of(motion: str) -> int:
    """Frames of a clip of that motion."""
    return MOTIONS[motion].get("frames", FRAMES)
