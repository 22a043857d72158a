"""What is found in a folder, without opening anything."""

import hashlib
import os

import numpy as np
import pytest

from flow3r.data.video.files import fingerprint
from flow3r.data.video.sources import find_sources
from flow3r.errors import DataError


def touch(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def reasons(skipped):
    return {s.path: s.kind for s in skipped}


def test_files_and_sequences_are_found_by_name(tmp_path):
    touch(tmp_path / "b.MP4")
    touch(tmp_path / "a/c.mkv")
    for n in range(3):
        touch(tmp_path / f"walk/left_{n:03d}.png", b"123")
        touch(tmp_path / f"walk/right_{n:03d}.png")
    sources, skipped = find_sources(tmp_path)
    assert [(s.name, s.kind, s.size) for s in sources] == [
        ("a/c.mkv", "file", 1),
        ("b.MP4", "file", 1),
        ("walk/left_%03d.png", "sequence", 9),
        ("walk/right_%03d.png", "sequence", 3),
    ]
    assert skipped == []
    assert sources[2].path == tmp_path / "walk/left_%03d.png"


def test_everything_else_is_named_with_a_reason(tmp_path):
    touch(tmp_path / "good.mp4")
    touch(tmp_path / "notes.txt")
    touch(tmp_path / "README")
    touch(tmp_path / ".hidden.mp4")
    touch(tmp_path / "logo.png")
    touch(tmp_path / "only_1.png")
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "turn.mp4").symlink_to("turn.mp4")
    (tmp_path / "again").symlink_to(tmp_path)
    touch(tmp_path / ".git/x.mp4")
    sources, skipped = find_sources(tmp_path)
    assert [s.name for s in sources] == ["good.mp4"]
    assert reasons(skipped) == {
        "notes.txt": "not a video",
        "README": "not a video",
        ".hidden.mp4": "hidden",
        ".git": "hidden",
        "logo.png": "single picture",
        "only_1.png": "single picture",
        "folder.mp4": "folder with the name of a video",
        "pipe.mp4": "not a regular file",
        "gone.mp4": "broken link",
        "turn.mp4": "broken link",
        "again": "link to a folder",
    }


def test_a_folder_that_cannot_be_listed_is_skipped(tmp_path, monkeypatch):
    touch(tmp_path / "good.mp4")
    touch(tmp_path / "locked/x.mp4")
    scan = os.scandir

    def refused(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    sources, skipped = find_sources(tmp_path)
    assert [s.name for s in sources] == ["good.mp4"]
    assert reasons(skipped) == {"locked": "folder that cannot be read"}


def test_links_to_files_are_followed_and_results_left_out(tmp_path):
    touch(tmp_path / "elsewhere/real.mp4")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/link.mp4").symlink_to(tmp_path / "elsewhere/real.mp4")
    touch(tmp_path / "videos/out/clip.mp4")
    sources, skipped = find_sources(tmp_path / "videos", leave_out=tmp_path / "videos/out")
    assert [s.name for s in sources] == ["link.mp4"]
    assert skipped == []


def test_single_files_whatever_their_extension(tmp_path):
    path = touch(tmp_path / "video.dat")
    sources, skipped = find_sources(path)
    assert [(s.name, s.path, s.kind) for s in sources] == [("video.dat", path, "file")]
    assert skipped == []


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*no such folder or file"):
        find_sources(tmp_path / "nowhere")
    touch(tmp_path / "notes.txt")
    with pytest.raises(DataError, match=r"no video file with one of .*\.mp4.*no image sequence"):
        find_sources(tmp_path)


def test_stamps_change_with_the_file_and_fingerprints_with_the_content(tmp_path):
    path = touch(tmp_path / "a.mp4", b"1" * 100)
    [first], _ = find_sources(path)
    os.utime(path, ns=(5, 5))
    [second], _ = find_sources(path)
    assert first.stamp != second.stamp
    mark = first.fingerprint()
    assert mark == second.fingerprint()
    path.write_bytes(b"2" * 100)
    assert first.fingerprint() != mark


def test_fingerprint_is_over_size_and_both_ends(tmp_path):
    data = np.random.default_rng(0).bytes(3 << 20)
    path = touch(tmp_path / "file", data)
    part = 1 << 20
    expected = hashlib.sha256(str(len(data)).encode() + data[:part] + data[-part:]).hexdigest()
    assert fingerprint(path) == expected
    touch(path, data[:-1] + b"x")
    assert fingerprint(path) != expected


def test_a_sequence_is_marked_by_its_pictures(tmp_path):
    rng = np.random.default_rng(0)
    for n in range(40):
        touch(tmp_path / f"s/{n:02d}.png", rng.bytes(50))
    [before], _ = find_sources(tmp_path / "s")
    mark = before.fingerprint()
    (tmp_path / "s/07.png").unlink()
    [after], _ = find_sources(tmp_path / "s")
    assert after.stamp != before.stamp
    fewer = after.fingerprint()
    assert fewer != mark
    touch(tmp_path / "s/00.png", rng.bytes(50))
    assert after.fingerprint() != fewer
