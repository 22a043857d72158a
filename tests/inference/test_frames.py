"""Which frames are read, in which order, upright, at which size; and what cannot be read."""

import numpy as np
import pytest
from PIL import Image

from flow3r.data.readers.images import read_upright_rgb
from flow3r.errors import ConfigError, DataError
from flow3r.inference.frames import Frames, FrameSettings, read_frames
from flow3r.inference.images import find_images
from flow3r.inference.size import SizeRule

RULE = SizeRule(max_pixels=16 * 24, patch_size=8)


def grey(level: int, height: int = 16, width: int = 24) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def levels(frames: Frames) -> list[int]:
    return [round(float(image.mean())) for image in frames.images]


def test_frames_alone_are_spread_evenly():
    assert FrameSettings(frames=3).choose(9) == [0, 4, 8]
    assert FrameSettings(frames=4).choose(11) == [0, 3, 7, 10]
    assert FrameSettings().choose(31) == list(range(0, 31, 2))
    assert FrameSettings(frames=5).choose(3) == [0, 1, 2]
    assert FrameSettings(frames=1).choose(9) == [0]


def test_every_takes_steps_and_frames_limits_them():
    assert FrameSettings(every=4).choose(10) == [0, 4, 8]
    assert FrameSettings(every=4, frames=2).choose(10) == [0, 4]


def test_a_folder_is_read_in_natural_order(save_image, tmp_path):
    for number in (10, 9, 1, 2):
        save_image(f"in/frame{number}.png", grey(number))
    save_image("in/.hidden.png", grey(99))
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    frames = read_frames(tmp_path / "in", FrameSettings(size=RULE))
    assert levels(frames) == [1, 2, 9, 10]
    assert frames.names == ("frame1.png", "frame2.png", "frame9.png", "frame10.png")
    assert frames.images.shape == (4, 16, 24, 3)
    assert (frames.source_size, frames.available) == ((16, 24), 4)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "bmp", "tif", "PNG"])
def test_formats(save_image, extension):
    path = save_image(f"a.{extension}", grey(77))
    frames = read_frames(path, FrameSettings(size=RULE))
    assert abs(levels(frames)[0] - 77) <= 1


def test_exif_orientation_is_applied(save_image, tmp_path):
    picture = np.zeros((8, 16, 3), np.uint8)
    picture[:, :8] = 255  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by 90 degrees
    path = save_image("turned.png", picture, exif=exif)
    upright = read_upright_rgb(path)
    assert upright.shape == (16, 8, 3)
    assert (upright[:8] == 255).all()
    assert (upright[8:] == 0).all()


def test_other_frames_take_the_first_ones_size(save_image, tmp_path):
    save_image("in/1.png", grey(1, 32, 48))
    save_image("in/2.png", grey(2, 100, 20))
    frames = read_frames(tmp_path / "in", FrameSettings(size=RULE))
    assert frames.images.shape == (2, 16, 24, 3)
    assert frames.source_size == (32, 48)


def test_resizing_is_pillows_lanczos(save_image):
    picture = np.random.default_rng(0).integers(0, 256, (37, 61, 3), dtype=np.uint8)
    frames = read_frames(save_image("a.png", picture), FrameSettings(size=RULE))
    height, width = frames.images.shape[1:3]
    expected = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
    assert np.array_equal(frames.images[0], np.asarray(expected))


def test_a_video_is_spread_evenly_or_stepped_through(save_video):
    path = save_video("a.mkv", np.stack([grey(10 * i) for i in range(9)]))
    even = read_frames(path, FrameSettings(frames=3, size=RULE))
    assert levels(even) == [0, 40, 80]
    assert even.names == ("0.000 s", "0.400 s", "0.800 s")
    assert (even.numbers, even.available) == ((0, 4, 8), 9)
    stepped = read_frames(path, FrameSettings(every=2, frames=3, size=RULE))
    assert levels(stepped) == [0, 20, 40]
    assert stepped.available is None
    assert len(read_frames(path, FrameSettings(every=2, size=RULE))) == 5


def test_progress_is_told_frame_by_frame(save_video):
    path = save_video("a.mkv", np.stack([grey(i) for i in range(5)]))
    told = []
    read_frames(path, FrameSettings(frames=2, size=RULE), lambda *values: told.append(values))
    assert told == [(1, 2), (2, 2)]


def test_inputs_that_cannot_be_read_are_one_clear_error(save_image, tmp_path):
    settings = FrameSettings(size=RULE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.docx").write_text("text")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    save_image("cut.jpg", grey(100, 200, 200))
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    for name, message in [
        ("nowhere", "no such file or folder"),
        ("empty", r"no image in this folder \(0 other entries\)"),
        ("text.docx", "'.docx' is neither a video"),
        ("broken.png", "broken.png: cannot be read as an image"),
        ("cut.jpg", "cut.jpg: cannot be read as an image"),
        ("deep.png", "more than 8 bits per channel"),
        ("broken.mp4", "cannot be decoded as video"),
    ]:
        with pytest.raises(DataError, match=message):
            read_frames(tmp_path / name, settings)


def test_names_that_differ_in_zeros_have_an_order(save_image, tmp_path):
    for name in ("a01.png", "a1.png", "a001.png"):
        save_image(f"in/{name}", grey(1))
    assert [p.name for p in find_images(tmp_path / "in")] == ["a001.png", "a01.png", "a1.png"]


@pytest.mark.parametrize("name", ["frames", "every"])
def test_counts_are_positive(name):
    with pytest.raises(ConfigError, match=f"{name}=0 must be at least 1"):
        FrameSettings(**{name: 0})
