"""The paper's own figures, shown beside ours and never mixed with them.

Tables 1 and 4 of the paper: pi3 backbone at full size, real data (ScanNet++, OmniWorld,
SpatialVID), one seed, no error bars. RRA and RTA at 30 degrees in percent.
"""

from __future__ import annotations

METRICS = ("rra_30", "rta_30", "chamfer", "pointmap_mse")

FORMULATIONS = {
    "static": {
        "3d-sup": (75.00, 69.29, 0.030, 0.088),
        "flow-projective": (67.00, 45.72, 0.033, 0.088),
        "flow-tracking": (74.38, 70.21, 0.030, 0.089),
        "flow-factored": (77.00, 73.66, 0.026, 0.078),
    },
    "dynamic": {
        "3d-sup": (66.01, 62.37, 0.105, 0.637),
        "flow-projective": (61.23, 56.12, 0.158, 0.710),
        "flow-tracking": (68.56, 62.95, 0.107, 0.628),
        "flow-factored": (76.26, 68.84, 0.103, 0.598),
    },
}
"""Table 1: benchmark -> formulation -> values of METRICS."""

SCALING = (
    ("1K labelled", 0, (66.01, 62.37, 0.105, 0.637)),
    ("1K labelled", 3_000, (76.26, 68.84, 0.103, 0.598)),
    ("1K labelled", 10_000, (78.45, 68.82, 0.077, 0.560)),
    ("1K labelled", 20_000, (81.12, 71.21, 0.075, 0.532)),
    ("4K labelled", 0, (78.68, 70.26, 0.080, 0.565)),
)
"""Table 4 (dynamic): labelled clips, unlabelled clips, values of METRICS; 0 is 3d-sup."""
