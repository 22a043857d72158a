"""A real Kinect sequence by the 7-Scenes protocol, with a model that has learnt nothing."""

import json
import os
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

import flow3r

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"
KITCHEN = Path(os.environ.get("FLOW3R_DATA", DEFAULT)) / "rgbd_7scenes"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not KITCHEN.is_dir(), reason=f"no recording at {KITCHEN} (FLOW3R_DATA)"),
]


def test_the_kitchen_by_the_7scenes_protocol(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # scripts change it when they are imported
    from experiments.evaluate import main

    weights = tmp_path / "tiny.safetensors"
    save_file(flow3r.export_released(flow3r.create_model("pi3-smoke", "flow-factored")), weights)
    # Every 15th frame is there, without split files; the protocol takes every 40th.
    given = ["split=all", "frames.step=3", "size.width=112", "device=cpu", "threads=1"]
    words = [f"path={KITCHEN}", f"weights={weights}", f"output_dir={tmp_path}", *given]
    assert main(["evaluation=7scenes", *words]) == 0
    assert "auc_30" in capsys.readouterr().out
    [path] = (tmp_path / "evaluations").glob("*/evaluation.json")
    record = json.loads(path.read_text())
    [scene] = record["scenes"]
    assert scene["scene"] == "redkitchen/seq-01"
    assert scene["frames"] == 14
    assert set(record["protocol"]["metrics"]) == set(scene["metrics"])
    assert scene["metrics"]["accuracy"] > 0.01
