"""Weights and constants of the objective, each with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flow3r.config import require


@dataclass(frozen=True)
class LossConfig:
    """All weights and constants. A weight of 0 skips the computation of its term.

    "pi3" means pi3's training code. Lengths are in normalised units: the mean distance of the
    labelled points to the first camera is 1.
    """

    points_weight: float = 1.0
    """pi3."""
    normals_weight: float = 1.0
    """pi3; the term is numerically tiny because it is divided by 4 max(H, W)."""
    confidence_weight: float = 0.05
    """pi3's confidence stage. Its label is detached, so it teaches the logit and nothing else
    directly."""
    rotation_weight: float = 0.1
    """pi3: camera loss weight 0.1, rotation in radians."""
    translation_weight: float = 10.0
    """pi3: camera loss weight 0.1 times alpha 100. The small-scale study used 0.5 for both
    translation terms and 1 for rotation."""
    translation_direction_weight: float = 0.0
    """Not in pi3, hence off. The small-scale study needed it (0.5) for translation to be learnt
    in minutes: the Huber loss on positions is weak where the direction is still unknown."""
    flow_weight: float = 20.0
    """Study: of 1, 5 and 20 the largest was best (16.6, 18.3, 19.4 AUC@30). Errors are in units of
    the image's longer side, so a typical flow loss is 0.02 to 0.2. Not applied by `flow_loss`."""

    scale_samples: int = 4096
    """pi3: pixels per clip from which the optimal scale is found. Sorting 3 ratios per pixel costs
    about 5 ms for 24 clips at 1024 samples on one core; the median needs no more."""
    depth_floor: float = 0.1
    """pi3: the point weight 1/z uses at least this share of the frame's mean depth, so that one
    very near pixel does not outweigh the frame."""
    edge_tolerance: float = 0.03
    """pi3: a pixel whose 3x3 neighbourhood spans more than this share of its depth is an edge,
    where normals of the label mean nothing."""
    normal_angle_min: float = math.radians(1)
    """pi3: angles below 1 degree count as 1 degree (no gradient): the label is no better."""
    normal_angle_max: float = math.radians(90)
    """pi3: angles above 90 degrees count as 90 (no gradient): outliers and flipped cells."""
    normal_smoothing: float = math.radians(3)
    """pi3: quadratic below 3 degrees, linear above."""
    confidence_error: float = 0.02
    """pi3: a pixel is labelled confident if its weighted point error is below this."""
    translation_huber: float = 0.1
    """pi3: translation errors are quadratic below this, linear above."""
    direction_min_length: float = 1e-3
    """Pairs whose true translation is shorter have no direction; also softens the direction of a
    vanishing prediction, whose gradient would be unbounded."""
    charbonnier_epsilon: float = 1e-3
    """In units of max(H, W): 0.05 px at 48 px, 0.5 px at 518 px. Quadratic below, linear above.
    Ours (the paper gives none): at or under the accuracy of good teachers, so that it only rounds
    the tip of the absolute value."""

    def __post_init__(self) -> None:
        for name in (
            "points_weight",
            "normals_weight",
            "confidence_weight",
            "rotation_weight",
            "translation_weight",
            "translation_direction_weight",
            "flow_weight",
        ):
            value = getattr(self, name)
            require(
                math.isfinite(value) and value >= 0,
                f"{name}={value!r}: a loss weight must be finite and at least 0",
            )
        for name in (
            "depth_floor",
            "edge_tolerance",
            "normal_smoothing",
            "confidence_error",
            "translation_huber",
            "direction_min_length",
            "charbonnier_epsilon",
        ):
            value = getattr(self, name)
            require(
                math.isfinite(value) and value > 0, f"{name}={value!r}: must be finite and above 0"
            )
        require(
            self.scale_samples >= 1, f"scale_samples={self.scale_samples!r}: must be at least 1"
        )
        require(
            0 < self.normal_angle_min < self.normal_angle_max < math.pi,
            f"normal_angle_min={self.normal_angle_min!r}, normal_angle_max="
            f"{self.normal_angle_max!r}: must satisfy 0 < min < max < pi (radians)",
        )
