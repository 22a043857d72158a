"""From a folder to a manifest, and again: only what is new is looked at."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from flow3r.data.video import ingest as module
from flow3r.data.video import looked, looking
from flow3r.data.video.config import IngestConfig
from flow3r.data.video.decode import clip_frames
from flow3r.data.video.ingest import LOOKED, MANIFEST, SKIPPED, SUMMARY, ingest
from flow3r.data.video.isolation import Event
from flow3r.data.video.manifest import read_manifest
from flow3r.data.video.sources import find_sources
from flow3r.errors import ConfigError, DataError

ROOT = Path(__file__).resolve().parents[2]
CONFIG = IngestConfig(frames=3, gap_seconds=0.1, spacing_seconds=0.5, min_side=16)


def inline(work, tasks, workers, *, stall_seconds, stop):
    """As `run_isolated`, in this process."""
    for number, task in enumerate(tasks):
        if stop():
            return
        shares = []
        result = work(task, shares.append)
        yield from (Event(number, share=min(s, 0.99)) for s in shares)
        yield Event(number, 1.0, result=result)


@pytest.fixture
def spied(monkeypatch):
    """Names of the sources that were decoded, in this process."""
    seen = []

    def counted(source, config, beat):
        seen.append(source.name)
        return looking.look(source, config, beat)

    monkeypatch.setattr(module, "run_isolated", inline)
    monkeypatch.setattr(looked, "look", counted)
    return seen


@pytest.fixture(scope="module")
def moving(tmp_path_factory, moving_frames, write_video):
    """45 frames at 30 per second that move by (2, -1) px each."""
    return write_video(tmp_path_factory.mktemp("moving") / "moving.mp4", moving_frames(45))


@pytest.fixture(scope="module")
def slower(tmp_path_factory, moving_frames, write_video):
    """Another one."""
    path = tmp_path_factory.mktemp("slower") / "slower.mkv"
    return write_video(path, moving_frames(45, (1, 1), (96, 96)))


@pytest.fixture
def folder(tmp_path, moving, slower):
    """Two videos, a text file and an empty one."""
    videos = tmp_path / "videos"
    (videos / "sub").mkdir(parents=True)
    shutil.copy2(moving, videos / "sub" / "moving.mp4")
    shutil.copy2(slower, videos / "slower.mkv")
    (videos / "empty.mp4").touch()
    (videos / "text.avi").write_text("no video\n" * 99)
    return videos


def reasons(output):
    return {s["path"]: s["reason"] for s in json.loads((output / SKIPPED).read_text())}


def test_processes_find_clips_and_reasons(folder, tmp_path):
    output = tmp_path / "out"
    seen = []
    manifest = ingest(
        folder, CONFIG, output, workers=2, progress=lambda p: seen.append(vars(p).copy())
    )
    assert manifest.column("name") == [
        *(f"slower.mkv/{n:06d}" for n in (0, 15, 30)),
        *(f"sub/moving.mp4/{n:06d}" for n in (0, 15, 30)),
    ]
    assert reasons(output).keys() == {"empty.mp4", "text.avi"}
    assert reasons(output)["empty.mp4"] == "empty file"
    assert reasons(output)["text.avi"].startswith("cannot be decoded as video (")
    found = json.loads((output / SUMMARY).read_text())
    assert found["clips"] == 6
    assert found["sources"] == 4
    assert found["sources_with_clips"] == 2
    assert found["frames"] == 90
    assert (
        found["fingerprint"] == manifest.fingerprint == read_manifest(output / MANIFEST).fingerprint
    )
    assert found["skipped"] == {"empty file": 1, "cannot be decoded as video": 1}
    assert seen[-1]["looked_at"] == seen[-1]["sources"] == 4
    assert seen[-1]["clips"] == 6
    assert seen[-1]["done_bytes"] == pytest.approx(seen[-1]["total_bytes"])
    done = [s["done_bytes"] for s in seen]
    assert done == sorted(done)


@pytest.mark.usefixtures("spied")
def test_rows_say_what_was_seen(folder, tmp_path):
    manifest = ingest(folder, CONFIG, tmp_path / "out")
    clip = manifest.clip(4)
    assert (clip.source, clip.kind, clip.shot) == ("sub/moving.mp4", "file", 0)
    assert clip.path == folder / "sub/moving.mp4"
    assert clip.frame_numbers == tuple(range(15, 22))
    assert clip.frame_seconds == pytest.approx([n / 30 for n in range(15, 22)])
    assert clip.clip_positions == (0, 3, 6)
    assert (clip.height, clip.width, clip.pixel_aspect, clip.by_time) == (120, 160, 1.0, True)
    assert clip.motion == pytest.approx(6 * np.hypot(2, 1) / 120, rel=0.1)
    assert 0.7 < clip.overlap <= 1
    source = next(s for s in find_sources(folder)[0] if s.name == clip.source)
    assert clip.fingerprint == source.fingerprint()
    assert clip_frames(clip, (60, 80)).shape == (7, 60, 80, 3)


def test_a_second_run_looks_only_at_what_is_new(
    folder, tmp_path, spied, moving_frames, write_video
):
    output = tmp_path / "out"
    first = ingest(folder, CONFIG, output)
    assert len(spied) == 4
    spied.clear()
    again = ingest(folder, CONFIG, output)
    assert spied == []
    assert again.fingerprint == first.fingerprint
    write_video(folder / "new.mp4", moving_frames(30, (3, 0)))
    more = ingest(folder, CONFIG, output)
    assert spied == ["new.mp4"]
    assert set(first.column("name")) < set(more.column("name"))
    spied.clear()
    ingest(folder, IngestConfig(**{**vars(CONFIG), "min_motion": 0.02}), output)
    assert len(spied) == 5  # other settings
    spied.clear()
    ingest(folder, CONFIG, output)
    assert spied == []  # and back


def test_content_is_known_wherever_it_is(folder, tmp_path, spied):
    output = tmp_path / "out"
    ingest(folder, CONFIG, output)
    spied.clear()
    (folder / "sub/moving.mp4").rename(folder / "moved.mp4")
    os.utime(folder / "slower.mkv")
    manifest = ingest(folder, CONFIG, output)
    assert spied == []
    assert manifest.column("name")[0] == "moved.mp4/000000"
    shutil.copy(folder / "moved.mp4", folder / "twin.mp4")
    twice = ingest(folder, CONFIG, output)
    assert spied == []
    assert twice.fingerprint == manifest.fingerprint
    assert reasons(output)["twin.mp4"] == "same content as another (as moved.mp4)"


def test_findings_can_be_shared(folder, tmp_path, spied):
    shared = tmp_path / "shared"
    first = ingest(folder, CONFIG, tmp_path / "out", findings=shared)
    spied.clear()
    shutil.copytree(folder, tmp_path / "copy")
    second = ingest(tmp_path / "copy", CONFIG, tmp_path / "other", findings=shared)
    assert spied == []
    assert second.fingerprint == first.fingerprint
    assert second.clip(0).path.is_relative_to(tmp_path / "copy")
    assert not (tmp_path / "out" / LOOKED).exists()


def test_what_was_found_before_a_stop_is_kept(folder, tmp_path, spied):
    assert ingest(folder, CONFIG, tmp_path / "out", stop=lambda: len(spied) >= 2) is None
    assert not (tmp_path / "out" / MANIFEST).exists()
    stopped_after = list(spied)
    spied.clear()
    manifest = ingest(folder, CONFIG, tmp_path / "out")
    assert len(stopped_after) == 2
    assert len(spied) == 2
    assert not set(spied) & set(stopped_after)
    assert manifest.fingerprint == ingest(folder, CONFIG, tmp_path / "fresh").fingerprint


def test_damaged_findings_are_looked_at_again(folder, tmp_path, spied):
    output = tmp_path / "out"
    first = ingest(folder, CONFIG, output)
    spied.clear()
    for path in (output / LOOKED).glob("*.data"):
        data = bytearray(path.read_bytes())
        for at in range(100, len(data), 60):
            data[at] ^= 1
        path.write_bytes(data)
    again = ingest(folder, CONFIG, output)
    assert spied
    assert again.fingerprint == first.fingerprint


@pytest.mark.usefixtures("spied")
def test_no_clip_at_all_is_an_error_with_reasons(folder, tmp_path):
    for path in (folder / "sub/moving.mp4", folder / "slower.mkv"):
        path.unlink()
    with pytest.raises(DataError, match=r"no usable clip: empty\.mp4: empty file; text\.avi: can"):
        ingest(folder, CONFIG, tmp_path / "out")
    assert len(reasons(tmp_path / "out")) == 2
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_missing_av_says_what_to_install(monkeypatch, folder, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match="pip install av"):
        ingest(folder, CONFIG, tmp_path / "out")


@pytest.mark.usefixtures("spied")
def test_image_sequences_with_missing_broken_and_other_frames(tmp_path, moving_frames):
    folder = tmp_path / "videos" / "walk"
    folder.mkdir(parents=True)
    for n, image in enumerate(moving_frames(60), start=100):
        cv2.imwrite(str(folder / f"f_{n:04d}.png"), image[..., ::-1])
    (folder / "f_0103.png").unlink()
    (folder / "f_0125.png").write_bytes((folder / "f_0125.png").read_bytes()[:2000])
    other = cv2.resize(cv2.imread(str(folder / "f_0140.png")), (80, 60))
    cv2.imwrite(str(folder / "f_0140.png"), other)
    manifest = ingest(tmp_path / "videos", CONFIG, tmp_path / "out")
    assert {c.kind for c in manifest} == {"sequence"}
    assert manifest.clip(0).name == "walk/f_%04d.png/000100"
    assert 103 not in manifest.clip(0).frame_numbers
    for clip in manifest:
        numbers = set(range(clip.frame_numbers[0], clip.frame_numbers[-1] + 1))
        assert not numbers & {125, 140}
        assert (clip.height, clip.width) == (120, 160)
        frames = clip_frames(clip, (120, 160))
        path = folder / f"f_{clip.frame_numbers[1]:04d}.png"
        np.testing.assert_array_equal(frames[1], cv2.imread(str(path))[..., ::-1])
    kinds = {
        s["reason"].split(" (")[0] for s in json.loads((tmp_path / "out" / SKIPPED).read_text())
    }
    assert kinds == {"undecodable", "too short"}


@pytest.mark.usefixtures("spied")
def test_the_good_part_of_a_truncated_file_is_used(tmp_path, moving_frames, write_video):
    path = write_video(tmp_path / "videos.avi", moving_frames(90), codec="mpeg4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    manifest = ingest(path, CONFIG, tmp_path / "out")
    assert 2 <= len(manifest) <= 5
    assert "truncated" in " ".join(reasons(tmp_path / "out").values())
    for clip in manifest:
        assert clip_frames(clip, (30, 40)).shape == (7, 30, 40, 3)


@pytest.mark.usefixtures("spied")
def test_only_the_beginning(folder, tmp_path):
    config = IngestConfig(**{**vars(CONFIG), "max_seconds": 0.6})
    manifest = ingest(folder, config, tmp_path / "out")
    assert max(c.frame_seconds[-1] for c in manifest) <= 0.61
    assert "truncated" not in " ".join(reasons(tmp_path / "out").values())


@pytest.mark.slow
def test_killed_runs_lose_nothing_that_was_finished(tmp_path, moving_frames, write_video):
    videos = tmp_path / "videos"
    videos.mkdir()
    for n in range(24):
        write_video(videos / f"{n:02d}.mp4", moving_frames(60, (1 + n % 3, n % 2)))
    command = [sys.executable, "experiments/prepare.py", f"videos={videos}", "workers=2"]
    output = tmp_path / "out"
    rng = np.random.default_rng(0)
    for _ in range(5):
        process = subprocess.Popen([*command, f"output_dir={output}"], cwd=ROOT)
        time.sleep(rng.uniform(2, 6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (output / MANIFEST).exists() or len(read_manifest(output / MANIFEST))
    subprocess.run([*command, f"output_dir={output}"], cwd=ROOT, check=True)
    subprocess.run([*command, f"output_dir={tmp_path / 'fresh'}"], cwd=ROOT, check=True)
    marks = [read_manifest(o / MANIFEST).fingerprint for o in (output, tmp_path / "fresh")]
    assert marks[0] == marks[1]
