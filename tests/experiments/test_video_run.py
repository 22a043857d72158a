"""Real video as the unlabelled clips of a run."""

import json
import os
from pathlib import Path

import pytest

from flow3r.data.store import ClipStore

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"
VIDEOS = Path(os.environ.get("FLOW3R_DATA", DEFAULT)) / "videos"


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"no recordings at {VIDEOS} (FLOW3R_DATA)")
def test_an_arm_trains_on_real_video(run_script, small_overrides, tmp_path):
    result = run_script(
        "experiments/train.py",
        *small_overrides,
        "data=videos",
        f"data.videos.folder={VIDEOS}",
        "+data.videos.max_clips=10",
        "data.unlabelled_clips=10",
        f"output_dir={tmp_path}",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    [stage] = (tmp_path / "stages").glob("video-*")
    store = ClipStore.open(stage / "clips")
    assert not store.layout.labelled
    assert len(store) == 10
    assert len(store.provenance["videos"]["files"]) == 5
    [run] = (tmp_path / "runs").iterdir()
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["data_fingerprints"]["unlabelled-0"] == store.fingerprint


def test_broken_videos_end_in_one_message(run_script, small_overrides, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "text.mp4").write_text("not a video")
    result = run_script(
        "experiments/train.py",
        *small_overrides,
        "data=videos",
        f"data.videos.folder={videos}",
        "data.unlabelled_clips=3",
        f"output_dir={tmp_path / 'out'}",
    )
    assert result.returncode == 1
    [stage] = (tmp_path / "out" / "stages").glob("video-*")
    status = json.loads((stage / "status.json").read_text())
    assert status["state"] == "failed"
    assert "empty.mp4" in status["reason"]
    assert "text.mp4" in status["reason"]
