"""Real video as the unlabelled clips of a run."""

import json
import os
from pathlib import Path

import pytest

from flow3r.data.video_clips import VideoClips

DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "data"
VIDEOS = Path(os.environ.get("FLOW3R_DATA", DEFAULT)) / "videos"


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"no recordings at {VIDEOS} (FLOW3R_DATA)")
def test_an_arm_trains_on_real_video(run_script, small_overrides, tmp_path):
    arguments = [
        "experiments/train.py",
        *small_overrides,
        "data=videos",
        f"data.videos.folder={VIDEOS}",
        f"output_dir={tmp_path}",
    ]
    result = run_script(*arguments, "data.unlabelled_clips=10")
    assert result.returncode == 0, result.stdout + result.stderr
    [stage] = (tmp_path / "stages").glob("pseudo-labels-*")
    clips = VideoClips.open(stage / "clips", tmp_path / "store")
    assert len(clips) == 10
    assert clips.provenance["sources"] == 5
    [run] = (tmp_path / "runs").iterdir()
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["data_fingerprints"]["unlabelled-0"] == clips.fingerprint
    # A run with fewer clips finds all of them in the store.
    result = run_script(*arguments, "data.unlabelled_clips=6")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "6 clips (0 new records, 0 clips failed)" in result.stdout


def test_a_run_of_a_manifest_needs_no_ingest_and_finds_its_labels(
    run_script, small_overrides, make_manifest, tmp_path
):
    manifest = make_manifest(tmp_path / "videos", videos=2, clips=2)
    labelled = run_script(
        "experiments/label.py", f"manifest={manifest}", "size=32", f"output_dir={tmp_path}"
    )
    assert labelled.returncode == 0, labelled.stdout + labelled.stderr
    result = run_script(
        "experiments/train.py",
        *small_overrides,
        "data=videos",
        f"data.videos.manifest={manifest}",
        "data.unlabelled_clips=3",
        f"output_dir={tmp_path}",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 clips (0 new records, 0 clips failed)" in result.stdout
    assert not list((tmp_path / "stages").glob("ingest-*"))
    [stage] = (tmp_path / "stages").glob("pseudo-labels-*")
    again = run_script("experiments/label.py", f"spec={stage / 'spec.json'}", "verify=true")
    assert json.loads(again.stdout)["present"] == 4, again.stderr


def test_more_clips_than_the_videos_yield_is_an_error_that_names_both(
    run_script, small_overrides, make_manifest, tmp_path
):
    manifest = make_manifest(tmp_path / "videos", videos=1, clips=2)
    result = run_script(
        "experiments/train.py",
        *small_overrides,
        "data=videos",
        f"data.videos.manifest={manifest}",
        "data.unlabelled_clips=5",
        f"output_dir={tmp_path}",
    )
    assert result.returncode == 1
    [stage] = (tmp_path / "stages").glob("pseudo-labels-*")
    status = json.loads((stage / "status.json").read_text())
    assert "5 unlabelled clips are asked for, the videos yield 2" in status["reason"]


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
    [stage] = (tmp_path / "out" / "stages").glob("ingest-*")
    status = json.loads((stage / "status.json").read_text())
    assert status["state"] == "failed"
    assert "empty.mp4" in status["reason"]
    assert "text.mp4" in status["reason"]
