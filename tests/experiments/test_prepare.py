"""The command: its counts, its help and a message for every mistake."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from experiments import prepare
from flow3r.data.video.config import IngestConfig
from flow3r.data.video.ingest import Progress
from flow3r.data.video.manifest import read_manifest
from flow3r.errors import ConfigError, DataError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def videos(tmp_path, make_manifest):
    """A folder of two videos of 30 frames that move by (2, -1) px each."""
    make_manifest(tmp_path / "videos", videos=2).unlink()
    (tmp_path / "videos" / "notes.txt").touch()
    return tmp_path / "videos"


def test_the_command_writes_and_prints_the_counts(videos, tmp_path, capsys):
    words = [f"videos={videos}", f"output_dir={tmp_path / 'out'}", "workers=1", "gap_seconds=0.1"]
    assert prepare.main(words) == 0
    printed = capsys.readouterr()
    manifest = read_manifest(tmp_path / "out/manifest.parquet")
    assert len(manifest) == 4  # starts at 0 and 0.5 s; 1 s long
    assert (
        f"4 clips from 2 of 2 sources (1.9 s, 60 frames), fingerprint {manifest.fingerprint}"
        in (printed.out)
    )
    assert "skipped: 1 not a video" in printed.out
    assert "2/2 new sources (0 known), 4 new clips" in printed.err
    assert json.loads((tmp_path / "out/skipped.json").read_text()) == [
        {"path": "notes.txt", "reason": "not a video ('.txt')"}
    ]
    assert prepare.main(words) == 0
    assert "0/0 new sources (2 known)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["output_dir=x"], "videos= is required"),
        (["videos=x"], "output_dir= is required"),
        (["videos=x", "output_dir=y", "workers=none"], "workers='none'"),
        (["videos=x", "output_dir=y", "workers=0"], "workers='0'"),
        (["videos=x", "output_dir=y", "frames=1"], "frames=1: must be >= 2"),
        (["videos=x", "output_dir=y", "frames=many"], "frames='many': expected int"),
        (["videos=x", "output_dir=y", "frmes=3"], "frmes: unknown setting; valid settings are"),
        (["videos=x", "output_dir=y", "frames=["], "not a value"),
        (["videos"], "write arguments as name=value"),
    ],
)
def test_mistakes_get_one_clear_message(words, message):
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        prepare.main(words)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no such folder or file"):
        prepare.main([f"videos={tmp_path / 'x'}", f"output_dir={tmp_path / 'out'}", "workers=1"])


def test_the_help_names_every_setting_and_its_default():
    for field in fields(IngestConfig):
        default = "null" if field.default is None else f"{field.default:g}"
        assert f"\n  {field.name}={default} " in prepare.HELP, field.name


def test_the_script_runs_from_anywhere(tmp_path):
    script = ROOT / "experiments/prepare.py"
    help_text = subprocess.run(
        [sys.executable, script, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "manifest.parquet" in help_text.stdout
    wrong = subprocess.run(
        [sys.executable, script, "videos=x"], cwd=tmp_path, capture_output=True, text=True
    )
    assert wrong.returncode == 2
    assert wrong.stderr == "error: output_dir= is required; see --help\n"


def test_the_time_left_is_that_of_the_bytes_left(monkeypatch):
    progress = Progress(sources=4, known=0, total_bytes=1000, began=0.0)
    monkeypatch.setattr("time.monotonic", lambda: 10.0)
    assert progress.remaining_seconds is None
    progress.done_bytes = 250.0
    assert progress.remaining_seconds == pytest.approx(30.0)
    progress.done_bytes = 1000.0
    assert progress.remaining_seconds == 0
