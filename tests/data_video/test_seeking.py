"""Frames read by seeking are those that reading the whole file gives."""

import av
import numpy as np
import pytest

from flow3r.data.video import seeking
from flow3r.data.video.config import IngestConfig
from flow3r.data.video.decode import clip_frames
from flow3r.data.video.frames import fit
from flow3r.data.video.looking import look
from flow3r.data.video.pictures import DecodedFrame
from flow3r.data.video.sources import Source
from flow3r.data.video.streams import decode, opened, tolerant_pictures
from flow3r.errors import DataError

H264 = {"crf": "8", "g": "10", "bf": "3"}


@pytest.fixture(scope="module")
def files(tmp_path_factory, moving_frames, write_video):
    """Name -> a file of 60 frames of some kind that is awkward to seek in."""
    folder = tmp_path_factory.mktemp("seek")
    frames = moving_frames(60)
    uneven = np.cumsum(np.random.default_rng(0).integers(5, 90, 60)) / 1000
    made = {
        "closed": write_video(folder / "closed.mp4", frames, options=H264),
        "open": write_video(
            folder / "open.mkv", frames, options=H264 | {"x264-params": "open-gop=1"}
        ),
        "mpeg2": write_video(folder / "mpeg2.mpg", frames, codec="mpeg2video", options=H264),
        "stream": write_video(folder / "stream.ts", frames, options=H264),
        "uneven": write_video(folder / "uneven.mkv", frames, options=H264, seconds=uneven),
        "late": write_video(folder / "late.mkv", frames, options=H264, seconds=uneven + 100),
        "old": write_video(folder / "old.avi", frames, codec="mpeg4", options=H264),
        "one key": write_video(folder / "one.mp4", frames, options=H264 | {"g": "999"}),
    }
    made["negative"] = _early(folder / "negative.mp4", made["closed"])
    made["no key at 0"] = _without_first_packets(folder / "cut.ts", made["stream"])
    made["no times"] = _remuxed(folder / "raw.h264", made["closed"])
    made["no times"] = made["no times"].rename(folder / "raw.mpg")
    return made


def _packets(path):
    with av.open(str(path)) as container:
        yield from container.demux(container.streams.video[0])


def _remuxed(path, source, change=lambda number, packet: packet):
    """The packets of another file, changed or left out."""
    with av.open(str(source)) as container, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for number, packet in enumerate(container.demux(container.streams.video[0])):
            packet = change(number, packet)
            if packet is not None and packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return path


def _early(path, source):
    def change(number, packet):
        if packet.pts is not None:
            packet.pts -= 6000
            packet.dts -= 6000
        return packet

    return _remuxed(path, source, change)


def _without_first_packets(path, source):
    """Begins in the middle of a group of pictures."""
    return _remuxed(path, source, lambda number, packet: packet if number >= 4 else None)


def _whole(path):
    """(time stamp or None, grey image) of every frame, read from the beginning."""
    with opened(path) as (container, stream):
        return [
            (
                None if p.pts is None else float(p.pts * stream.time_base),
                p.to_ndarray(format="gray"),
            )
            for p in tolerant_pictures(container, stream)
            if p is not None
        ]


def _luma(frame):
    return frame.picture.to_ndarray(format="gray")


EXACT = ("closed", "open", "uneven", "late", "one key", "negative", "stream", "no key at 0", "old")


@pytest.mark.parametrize("name", EXACT)
def test_seeking_equals_reading_on(files, name):
    whole = _whole(files[name])
    # An edit list hides the frames before 0; nothing can be decoded before the first key frame.
    assert len(whole) == {"negative": 48, "no key at 0": 50}.get(name, 60)
    for i in (0, 1, 8, 9, 10, 11, 12, 29, 30, 31, 40, len(whole) - 3):
        part = [whole[i], whole[i + 2]]
        found = seeking.frames_by_time(files[name], [t for t, _ in part], _luma)
        for image, (_, expected) in zip(found, part):
            np.testing.assert_array_equal(image, expected, err_msg=f"frame {i}")


def test_seeking_does_not_decode_the_file(files, monkeypatch):
    seen = []

    def counted(container, stream):
        for picture in tolerant_pictures(container, stream):
            seen.append(picture.pts)
            yield picture

    monkeypatch.setattr(seeking, "tolerant_pictures", counted)
    times = [t for t, _ in _whole(files["closed"])]
    seeking.frames_by_time(files["closed"], [times[45], times[47]], _luma)
    assert len(seen) <= 8  # 40 is a key frame


def test_frames_are_counted_where_there_are_no_times(files):
    whole = _whole(files["no times"])
    assert {t for t, _ in whole} == {None}
    found = seeking.frames_by_number(files["no times"], [3, 17], _luma)
    np.testing.assert_array_equal(found[0], whole[3][1])
    np.testing.assert_array_equal(found[1], whole[17][1])


def test_frames_that_are_not_there_are_errors_that_name_the_file(files):
    with pytest.raises(DataError, match=r"closed\.mp4: a frame .* changed"):
        seeking.frames_by_time(files["closed"], [0.5, 0.51234], _luma)
    with pytest.raises(DataError, match=r"closed\.mp4: frame 60 .* changed"):
        seeking.frames_by_number(files["closed"], [59, 60], _luma)


@pytest.mark.parametrize("name", [*EXACT, "mpeg2", "no times"])
def test_clips_hold_the_frames_that_were_looked_at(files, name):
    """Whatever the file: the frames of a clip are those with its frame numbers."""
    path = files[name]
    config = IngestConfig(frames=3, gap_seconds=0.1, spacing_seconds=0.25, min_side=16)
    source = Source(path.name, path, "file", path.stat().st_size, "")
    found = look(source, config)
    clips = list(found.rows(source, "mark"))
    assert len(clips) >= 4
    pictures = [f.rgb() for f in _sound(path)]
    for clip in clips:
        frames = clip_frames(clip, (60, 80))
        assert frames.shape == (len(clip.frame_numbers), 60, 80, 3)
        for image, number in zip(frames, clip.frame_numbers):
            np.testing.assert_array_equal(image, fit(pictures[number], (60, 80), 1.0))
    if name != "mpeg2":  # its time stamps are guessed: each clip is tried
        assert all(clip.by_time for clip in clips) == (name != "no times")


def _sound(path):
    """All frames of a file but the damaged ones, read from the beginning."""
    with opened(path) as (container, stream):
        pictures = [p for p in tolerant_pictures(container, stream) if p is not None]
        return [DecodedFrame(i, 0.0, p, 1.0) for i, p in enumerate(pictures)]


def test_strict_decoding_sees_the_same_frames(files):
    for name in ("closed", "open", "uneven"):
        strict = [_luma(f) for f in decode(files[name], 60)]
        for first, (_, second) in zip(strict, _whole(files[name]), strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["closed", "open", "late", "one key", "no times"])
def test_stretches_of_successive_frames(files, name):
    whole = _whole(files[name])
    first = seeking.successive_frames(files[name], 0.0, 3, _luma)
    np.testing.assert_array_equal(first, [image for _, image in whole[:3]])
    if name == "no times":
        return
    later = whole[40][0] - whole[0][0]
    for image, (_, expected) in zip(
        seeking.successive_frames(files[name], later, 5, _luma), whole[40:45], strict=True
    ):
        np.testing.assert_array_equal(image, expected)
    assert len(seeking.successive_frames(files[name], whole[-2][0] - whole[0][0], 5, _luma)) == 2
