"""The paper's own figures, shown beside ours and never mixed with them.

Tables 1 and 4 of the paper: pi3 backbone at full size, real data (ScanNet++, OmniWorld,
SpatialVID). Tables 2 and 3: full models on the eight benchmarks. One seed, no error bars. RRA, RTA
and AUC at 30 degrees in percent. The paper does not define MSE and f-score.
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

METHODS = ("DUSt3R", "CUT3R", "VGGT", "pi3", "Flow3r")

DYNAMIC_METRICS = ("rpe_translation", "rpe_rotation", "pointmap_mse", "f_score_5")
STATIC_METRICS = ("rta_30", "auc_30", "pointmap_mse", "f_score_5")

DYNAMIC = {
    "Kinetics-700": (
        (0.063, 9.343, 0.366, 0.533),
        (0.027, 1.988, 0.303, 0.573),
        (0.038, 1.392, 0.347, 0.479),
        (0.023, 1.006, 0.267, 0.585),
        (0.018, 0.830, 0.256, 0.599),
    ),
    "EPIC-Kitchens": (
        (0.110, 8.492, 0.312, 0.528),
        (0.081, 4.709, 0.338, 0.493),
        (0.049, 3.025, 0.220, 0.617),
        (0.043, 3.025, 0.200, 0.620),
        (0.037, 2.729, 0.199, 0.622),
    ),
    "Sintel": (
        (0.179, 15.166, 0.622, 0.271),
        (0.128, 1.998, 0.676, 0.217),
        (0.086, 1.220, 0.595, 0.311),
        (0.066, 1.122, 0.523, 0.317),
        (0.058, 0.920, 0.426, 0.404),
    ),
    "Bonn": (
        (0.113, 6.384, 0.116, 0.800),
        (0.095, 6.349, 0.088, 0.899),
        (0.096, 6.021, 0.082, 0.884),
        (0.095, 6.240, 0.076, 0.905),
        (0.094, 6.262, 0.052, 0.954),
    ),
}
"""Table 2: benchmark -> values of DYNAMIC_METRICS of each of METHODS; f-scores as shares of 1."""

STATIC = {
    "CO3Dv2": (
        (90.68, 68.11, 0.223, 0.783),
        (90.68, 68.11, 0.278, 0.737),
        (97.27, 87.62, 0.151, 0.874),
        (97.49, 90.53, 0.151, 0.874),
        (97.62, 90.41, 0.150, 0.876),
    ),
    "ScanNet": (
        (57.14, 31.56, 0.092, 0.831),
        (71.39, 42.30, 0.132, 0.740),
        (93.71, 71.37, 0.053, 0.931),
        (91.14, 69.39, 0.058, 0.930),
        (92.89, 71.00, 0.053, 0.943),
    ),
    "NRGBD": (
        (93.25, 76.04, 0.063, 0.865),
        (95.63, 76.90, 0.075, 0.808),
        (99.21, 93.13, 0.032, 0.964),
        (99.20, 90.40, 0.021, 0.983),
        (99.60, 94.40, 0.018, 0.992),
    ),
    "7-Scenes": (
        (76.59, 55.07, 0.170, 0.714),
        (81.15, 59.72, 0.183, 0.695),
        (86.51, 69.77, 0.182, 0.665),
        (87.69, 71.80, 0.169, 0.737),
        (91.66, 75.76, 0.102, 0.807),
    ),
}
"""Table 3: the same, values of STATIC_METRICS."""
