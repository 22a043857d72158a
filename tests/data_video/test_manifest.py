"""The manifest: what goes in comes out, in bounded memory; damage is an error."""

import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flow3r.data.video import manifest as module
from flow3r.data.video.manifest import ManifestClip, read_manifest, write_manifest
from flow3r.errors import ConfigError, DataError


def clip(number, root, source="a/b.mp4", **changes):
    values = {
        "name": f"{source}/{number:06d}",
        "source": source,
        "path": root / source,
        "kind": "file",
        "fingerprint": "f" * 64,
        "shot": number // 10,
        "frame_numbers": (number, number + 2, number + 5),
        "frame_seconds": (number / 30, number / 30 + 1e-9, 1e6 / 3),
        "clip_positions": (0, 2),
        "height": 720,
        "width": 1280,
        "pixel_aspect": 1 / 3,
        "motion": 0.123456789,
        "overlap": 0.5,
        "by_time": number % 2 == 0,
    }
    return ManifestClip(**{**values, **changes})


def test_what_goes_in_comes_out(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_A_TIME", 7)
    root = tmp_path / "videos"
    clips = [clip(n, root, source=f"{n // 5}.mp4") for n in range(40)]
    written = write_manifest(tmp_path / "m.parquet", clips, root)
    manifest = read_manifest(tmp_path / "m.parquet")
    assert len(manifest) == 40
    assert list(manifest) == clips
    assert [manifest.clip(i) for i in (0, 6, 7, 39)] == [clips[i] for i in (0, 6, 7, 39)]
    assert manifest.column("shot") == [c.shot for c in clips]
    assert manifest.fingerprint == written.fingerprint
    assert clips[3].span_seconds == pytest.approx(1e6 / 3 - 0.1)
    with pytest.raises(IndexError):
        manifest.clip(40)
    with pytest.raises(IndexError):
        manifest.clip(-1)


def test_the_fingerprint_is_that_of_the_rows(tmp_path, monkeypatch):
    def mark(clips, root, rows=7):
        monkeypatch.setattr(module, "ROWS_AT_A_TIME", rows)
        return write_manifest(tmp_path / "m.parquet", clips, root).fingerprint

    first, second = tmp_path / "one", tmp_path / "two"
    original = mark([clip(n, first) for n in range(20)], first)
    assert original == mark([clip(n, second) for n in range(20)], second)
    assert len(original) == 16
    for changes in (
        {"frame_seconds": (0.0, 1.0, 2.0)},
        {"frame_numbers": (1, 2)},
        {"name": "x"},
        {"by_time": False},
        {"motion": 0.5},
        {"clip_positions": (0, 1)},
    ):
        changed = [clip(n, first) for n in range(19)] + [clip(19, first, **changes)]
        if changes != {"by_time": False}:  # of an odd number it is False anyway
            assert mark(changed, first) != original, changes


def test_videos_that_moved_are_found_below_the_new_folder(tmp_path):
    write_manifest(tmp_path / "m.parquet", [clip(0, tmp_path / "old")], tmp_path / "old")
    assert read_manifest(tmp_path / "m.parquet").clip(0).path == tmp_path / "old/a/b.mp4"
    moved = read_manifest(tmp_path / "m.parquet", folder=tmp_path / "new")
    assert moved.clip(0).path == tmp_path / "new/a/b.mp4"


def test_paths_of_any_bytes_and_single_files(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    odd = clip(0, tmp_path, path=path, source="caf\\xe9.mp4", name="caf\\xe9.mp4/000000")
    assert list(write_manifest(tmp_path / "m.parquet", [odd], tmp_path)) == [odd]
    assert list(write_manifest(tmp_path / "n.parquet", [odd], path)) == [odd]


def test_damage_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "m.parquet"
    write_manifest(path, [clip(n, tmp_path) for n in range(50)], tmp_path)
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError, match=r"m\.parquet: cannot be read"):
        read_manifest(path)
    flipped = 0
    for at in range(8, len(good) - 8, 97):
        data = bytearray(good)
        data[at] ^= 0x10
        path.write_bytes(data)
        try:
            changed = list(read_manifest(path)) != [clip(n, tmp_path) for n in range(50)]
            assert not changed, f"byte {at}: other clips without an error"
        except DataError:
            flipped += 1
    assert flipped > 5
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DataError, match="not a manifest of version 1"):
        read_manifest(path)
    with pytest.raises(DataError, match="no such manifest"):
        read_manifest(tmp_path / "nowhere.parquet")


def test_a_writer_that_fails_leaves_the_old_manifest(tmp_path):
    write_manifest(tmp_path / "m.parquet", [clip(1, tmp_path)], tmp_path)

    def broken():
        yield clip(2, tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_manifest(tmp_path / "m.parquet", broken(), tmp_path)
    assert list(read_manifest(tmp_path / "m.parquet")) == [clip(1, tmp_path)]
    assert [p.name for p in tmp_path.iterdir()] == ["m.parquet"]


def test_missing_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match="pip install pyarrow"):
        read_manifest(tmp_path / "m.parquet")


@pytest.mark.slow
def test_200_000_clips_fit_in_memory(tmp_path):
    """`experiments/scale.py` has 800,000."""
    import psutil

    before = psutil.Process().memory_info().rss
    base = clip(0, tmp_path, frame_numbers=tuple(range(10)), frame_seconds=(0.5,) * 10)
    clips = (
        replace(base, name=f"{n // 8}.mp4/{n}", source=f"{n // 8}.mp4") for n in range(200_000)
    )
    manifest = write_manifest(tmp_path / "m.parquet", clips, tmp_path)
    assert len(manifest) == 200_000
    assert manifest.clip(199_999).name == "24999.mp4/199999"
    assert len(manifest.fingerprint) == 16
    assert psutil.Process().memory_info().rss - before < 0.6e9
