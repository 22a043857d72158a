"""Clips from videos made here with known motion, and from files that are not videos."""

import itertools
import os
import re
import struct

import av
import cv2
import numpy as np
import pytest
import torch

from flow3r.data.video.clips import (
    VideoConfig,
    build_video_clips,
    find_videos,
    fingerprint,
    plan_clips,
    read_clip,
    read_clips,
)
from flow3r.data.video.streams import decode
from flow3r.errors import ConfigError, DataError
from flow3r.teachers.consistency import pixel_centres

PAIRS = torch.tensor([[0, 1], [1, 0], [0, 2]])
HEIGHT, WIDTH = 120, 160


def texture():
    rng = np.random.default_rng(0)
    layers = [
        cv2.resize(rng.random((480 // s, 480 // s)), (480, 480), interpolation=cv2.INTER_CUBIC)
        for s in (8, 16, 32)
    ]
    return np.clip(np.mean(layers, 0) * 400 - 72, 0, 255).astype(np.uint8)


TEXTURE = texture()


def moving_frames(count, shift):
    """RGB frames whose content moves by `shift` = (x, y) whole pixels per frame."""
    x, y = shift
    for i in range(count):
        top, left = 150 - y * i, 150 - x * i
        yield np.stack([TEXTURE[top : top + HEIGHT, left : left + WIDTH]] * 3, -1)


def write_video(path, frames, rate=30):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "8", "g": "10"})
        stream.pix_fmt = "yuv420p"
        frames = list(frames)
        stream.height, stream.width = frames[0].shape[:2]
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_audio(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        for i in range(20):
            frame.pts = 1024 * i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def config(folder, **changes):
    settings = {"size": (30, 40), "frames": 3, "gap_seconds": 0.1, "short_side": 120}
    return VideoConfig(folder=str(folder), **{**settings, **changes})


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """45 frames at 30 per second that move by (2, -1) px each."""
    path = tmp_path_factory.mktemp("moving") / "moving.mp4"
    return write_video(path, moving_frames(45, (2, -1)))


def test_known_motion_comes_back_in_pixels_of_the_clip(moving):
    clips, report = build_video_clips(config(moving), PAIRS)
    clips = list(clips)
    assert report["clips"] == len(clips) == 3  # starts at 0, 0.5, 1 s; 45 frames end at 1.47 s
    assert [c.name for c in clips] == [f"moving.mp4/{n:06d}" for n in (0, 15, 30)]
    grid = torch.from_numpy(pixel_centres(30, 40))
    for clip in clips:
        assert clip.images.shape == (3, 3, 30, 40)
        assert clip.images.dtype == torch.uint8
        assert clip.target_px.shape == (3, 30, 40, 2)
        # 0.1 s = 3 frames of (2, -1) px at 120 px height, shown at 30 px.
        step = torch.tensor([2.0, -1.0]) * 3 / 4
        for i, gap in enumerate((1, -1, 2)):
            keep = clip.covisibility[i] > 0
            flow = (clip.target_px[i] - grid)[keep]
            torch.testing.assert_close(flow.mean(0), gap * step, atol=0.05, rtol=0)
            assert keep.float().mean() > 0.8


def test_images_are_the_area_average_of_the_planned_frames(moving):
    plan = plan_clips(config(moving))
    decoded = {f.index: f.rgb() for f in decode(moving, 60)}
    for planned, clip in zip(plan.clips, read_clips(plan, PAIRS)):
        for image, position in zip(clip.images, planned.clip_positions):
            full = decoded[planned.frame_numbers[position]].astype(float)
            expected = full.reshape(30, 4, 40, 4, 3).mean((1, 3))
            assert np.abs(image.permute(1, 2, 0).numpy() - expected).max() <= 0.5 + 1e-6


def test_a_clip_read_alone_equals_the_clip_read_in_order(moving):
    settings = config(
        moving, spacing_seconds=0.1, max_seconds=0.5, chain_steps=1
    )  # overlapping clips share frames
    plan = plan_clips(settings)
    for planned, clip in zip(plan.clips, read_clips(plan, PAIRS)):
        alone = read_clip(planned, PAIRS, settings)
        assert alone.name == clip.name
        assert torch.equal(alone.images, clip.images)
        assert torch.equal(alone.target_px, clip.target_px)
        assert torch.equal(alone.covisibility, clip.covisibility)


def test_chain_steps_choose_the_frames_between(moving):
    for steps, numbers in [(1, (0, 3, 6)), (3, (0, 1, 2, 3, 4, 5, 6)), (9, tuple(range(7)))]:
        planned = plan_clips(config(moving, chain_steps=steps)).clips[0]
        assert planned.frame_numbers == numbers
        assert [numbers[p] for p in planned.clip_positions] == [0, 3, 6]


def test_max_clips_is_nested_and_max_seconds_bounds_the_time(moving):
    def names(**changes):
        plan = plan_clips(config(moving, spacing_seconds=0.1, **changes))
        return [c.name for c in plan.clips]

    everything = names()
    counts = [set(names(max_clips=n)) for n in (1, 4, 9, 99)]
    assert [len(c) for c in counts] == [1, 4, 9, len(everything)]
    assert all(a <= b for a, b in itertools.pairwise(counts))
    assert max(names(max_seconds=0.5)) < max(everything)


def test_slow_videos_give_successive_frames(tmp_path):
    path = write_video(tmp_path / "slow.mp4", moving_frames(6, (3, 0)), rate=2)
    planned = plan_clips(config(path)).clips[0]
    assert planned.frame_numbers == (0, 1, 2)


def test_rotation_tag_turns_the_picture_upright(tmp_path):
    path = write_video(tmp_path / "rotated.mp4", moving_frames(8, (2, 0)))
    plain = [f.rgb() for f in decode(path, 60)]
    data = path.read_bytes()
    identity = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    clockwise = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    at = data.index(identity, data.index(b"tkhd"))
    path.write_bytes(data[:at] + clockwise + data[at + 36 :])
    turned = [f.rgb() for f in decode(path, 60)]
    assert turned[0].shape == (WIDTH, HEIGHT, 3)
    np.testing.assert_array_equal(turned[0], np.rot90(plain[0], -1))


def _static(path):
    return write_video(path, moving_frames(40, (0, 0)))


def _cut(path):
    first = list(moving_frames(4, (1, 0)))
    other = [np.ascontiguousarray(255 - image[::-1, ::-1]) for image in moving_frames(4, (1, 0))]
    return write_video(path, first + other)


def _truncated_mp4(path):
    whole = write_video(path, moving_frames(45, (2, 0)))
    whole.write_bytes(whole.read_bytes()[:-2000])  # the index is at the end
    return whole


def _truncated_avi(path):
    whole = write_video(path, moving_frames(60, (2, 0)))
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])
    return whole


def _zero_bytes(path):
    path.write_bytes(b"")
    return path


def _text(path):
    path.write_text("not a video at all\n" * 50)
    return path


def _noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(20000))
    return path


def _one_frame(path):
    return write_video(path, moving_frames(1, (0, 0)))


def _small(path):
    return write_video(path, (image[:24, :32] for image in moving_frames(20, (1, 0))))


def _dangling(path):
    path.symlink_to(path.with_name("nowhere.mp4"))
    return path


def _pipe(path):
    os.mkfifo(path)
    return path


BAD = [
    ("static.mp4", _static, "static"),
    ("cut.mp4", _cut, "cut"),
    ("short_moov.mp4", _truncated_mp4, "cannot be decoded"),
    ("short.avi", _truncated_avi, "truncated"),
    ("empty.mp4", _zero_bytes, "empty file"),
    ("text.mp4", _text, "cannot be decoded"),
    ("noise.mkv", _noise, "cannot be decoded"),
    ("one.mp4", _one_frame, "too short"),
    ("small.mp4", _small, "smaller than the clips"),
    ("sound.mp4", write_audio, "no video stream"),
]


@pytest.mark.parametrize(("name", "make", "reason"), BAD, ids=[b[0] for b in BAD])
def test_a_single_bad_file_is_an_error_that_names_it(tmp_path, name, make, reason):
    path = make(tmp_path / name)
    with pytest.raises(DataError, match=f"{re.escape(name)}.*{reason}"):
        build_video_clips(config(path), PAIRS)


def test_bad_files_in_a_folder_are_skipped_with_counted_reasons(tmp_path, moving):
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "moving.mp4").write_bytes(moving.read_bytes())
    for name, make, _ in [*BAD, ("link.mp4", _dangling, ""), ("pipe.mp4", _pipe, "")]:
        make(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no video extension, so not even looked at")
    (tmp_path / "loop").symlink_to(tmp_path)
    clips, report = build_video_clips(config(tmp_path), PAIRS)
    names = [c.name for c in clips]
    assert report["clips"] == len(names) == 3
    assert names[0] == "good/moving.mp4/000000"
    by_file = {s["path"].split(" at ")[0]: s["reason"] for s in report["skipped"]}
    assert set(by_file) == {name for name, _, _ in BAD} | {"link.mp4", "pipe.mp4"}
    for name, _, reason in BAD:
        assert reason in by_file[name]
        assert str(tmp_path) not in by_file[name]
    assert report["skipped_reasons"]["empty file"] == 1
    assert sum(report["skipped_reasons"].values()) == len(report["skipped"])
    assert {"name": "good/moving.mp4", "fingerprint": fingerprint(moving), "clips": 3} in (
        report["files"]
    )


def test_a_folder_without_any_usable_clip_is_an_error_with_the_reasons(tmp_path):
    _zero_bytes(tmp_path / "a.mp4")
    _zero_bytes(tmp_path / "b.mp4")
    _text(tmp_path / "c.mov")
    reasons = r"no usable clip: a\.mp4: empty file; b\.mp4: .*; c\.mov: cannot be decoded"
    with pytest.raises(DataError, match=reasons):
        plan_clips(config(tmp_path))


def test_missing_and_empty_folders_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*no such folder or file"):
        find_videos(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no video file with one of .*\.mp4"):
        find_videos(tmp_path)


def test_names_that_are_not_utf8_still_print(tmp_path, moving):
    path = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    with open(path, "wb") as file:
        file.write(moving.read_bytes())
    plan = plan_clips(config(tmp_path))
    assert plan.clips[0].name == "caf\\xe9.mp4/000000"
    assert next(read_clips(plan, PAIRS)).name.encode("utf-8")


def test_pairs_outside_the_clip_are_refused(moving):
    clips, _ = build_video_clips(config(moving), torch.tensor([[0, 3]]))
    with pytest.raises(DataError, match="outside the 3 frames"):
        next(clips)


def test_missing_av_says_what_to_install(monkeypatch, moving):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ConfigError, match="pip install av"):
        plan_clips(config(moving))
