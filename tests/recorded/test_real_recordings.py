"""A real Kinect sequence: inspected, and made into clips."""

import os
from pathlib import Path

import pytest

from flow3r.config import from_mapping
from flow3r.data.datasets.registry import open_dataset
from flow3r.data.inspection.findings import Findings
from flow3r.data.inspection.survey import survey
from flow3r.data.pairs import ordered_pairs
from flow3r.data.recorded.clips import ClipReport, recorded_clips
from flow3r.data.recorded.config import RecordedConfig

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"
KITCHEN = Path(os.environ.get("FLOW3R_DATA", DEFAULT)) / "rgbd_7scenes"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not KITCHEN.is_dir(), reason=f"no recording at {KITCHEN} (FLOW3R_DATA)"),
]


def test_depth_and_poses_of_the_kitchen_fit_together():
    dataset = open_dataset("7scenes", KITCHEN)
    findings = Findings()
    [(_, report)] = survey(dataset, dataset.scenes("all"), 12, findings)
    assert findings.errors == 0, findings.lines()
    assert report.count.frames == 40
    assert 1 < report.median_depth < 3
    nearest = report.strides[1]
    assert nearest["depth_error"] < 0.03
    assert nearest["reprojection_px"] < 5
    assert report.best_alternative_share < report.as_is


def test_clips_of_the_kitchen_have_covisible_flow():
    dataset = open_dataset("7scenes", KITCHEN)
    values = {"dataset": "7scenes", "folder": str(KITCHEN), "split": "all", "count": 3}
    config = from_mapping(RecordedConfig, {**values, "frames": 2, "size": [48, 64]})
    for clip in recorded_clips(dataset, config, ordered_pairs(2), ClipReport()):
        assert clip.flow.covisibility.mean() > 0.2
        assert (clip.labels["depth"] > 0).float().mean() > 0.4
