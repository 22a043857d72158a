"""Colours against closed forms, upright pictures, square pixels."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flow3r.data.video.config import IngestConfig
from flow3r.data.video.decode import clip_frames
from flow3r.data.video.looking import look
from flow3r.data.video.pictures import HD_LINES, square_size
from flow3r.data.video.sources import Source
from flow3r.data.video.streams import decode

BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)
AV_BT709, AV_UNSPECIFIED, AV_SMPTE170M, AV_BT2020 = 1, 2, 6, 9
LIMITED, FULL = 1, 2
COLOURS = [(0, 0, 0), (255, 255, 255), (200, 40, 40), (30, 180, 60), (20, 60, 220), (128, 128, 128)]


def to_yuv(rgb, weights, full):
    """ITU-R BT.601, BT.709, BT.2020: luma from its weights for red and blue, then the range."""
    red, blue = weights
    r, g, b = np.asarray(rgb, float) / 255
    luma = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))
    if full:
        return [round(255 * luma), round(128 + 255 * u), round(128 + 255 * v)]
    return [round(16 + 219 * luma), round(128 + 224 * u), round(128 + 224 * v)]


def colour_file(path, weights, colorspace, color_range, size=(32, 32)):
    """A lossless file; frame i is plain COLOURS[i]."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv444p"
        stream.codec_context.colorspace = colorspace
        stream.codec_context.color_range = color_range
        for rgb in COLOURS:
            planes = np.empty((3, *size), np.uint8)
            planes[:] = np.reshape(to_yuv(rgb, weights, color_range == FULL), (3, 1, 1))
            frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
            frame.colorspace, frame.color_range = colorspace, color_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize(
    ("weights", "colorspace"),
    [(BT601, AV_SMPTE170M), (BT709, AV_BT709), (BT2020, AV_BT2020), (BT601, AV_UNSPECIFIED)],
    ids=["601", "709", "2020", "unspecified"],
)
def test_colours_are_those_that_went_in(tmp_path, weights, colorspace, color_range):
    path = colour_file(tmp_path / "colours.mkv", weights, colorspace, color_range)
    frames = [f.rgb() for f in decode(path, 60)]
    for rgb, image in zip(COLOURS, frames, strict=True):
        assert np.abs(image.astype(int) - rgb).max() <= 2, rgb


def test_large_pictures_of_unspecified_colour_space_are_bt709(tmp_path):
    size = (HD_LINES, 16)
    path = colour_file(tmp_path / "large.mkv", BT709, AV_UNSPECIFIED, LIMITED, size)
    frames = [f.rgb() for f in decode(path, 60)]
    for rgb, image in zip(COLOURS, frames, strict=True):
        assert np.abs(image.astype(int) - rgb).max() <= 2, rgb


def test_interlaced_pictures_stay_as_they_are(tmp_path, moving_frames, write_video):
    path = write_video(
        tmp_path / "fields.mpg",
        moving_frames(10),
        codec="mpeg2video",
        options={"flags": "+ilme+ildct", "top": "1", "q": "1"},
    )
    frames = list(decode(path, 60))
    assert frames[0].picture.interlaced_frame
    assert frames[0].rgb().shape == (120, 160, 3)


def rotated(path):
    """Turn a finished mp4 by its display matrix: a quarter turn clockwise."""
    data = path.read_bytes()
    identity = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    clockwise = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    at = data.index(identity, data.index(b"tkhd"))
    path.write_bytes(data[:at] + clockwise + data[at + 36 :])
    return path


def clips_of(path: Path):
    config = IngestConfig(frames=3, gap_seconds=0.1, min_side=16)
    source = Source(path.name, path, "file", path.stat().st_size, "")
    return list(look(source, config).rows(source, "mark"))


def test_rotation_tag_turns_the_picture_upright(tmp_path, moving_frames, write_video):
    path = write_video(tmp_path / "rotated.mp4", moving_frames(45))
    plain = [f.rgb() for f in decode(path, 60)]
    rotated(path)
    turned = [f.rgb() for f in decode(path, 60)]
    assert turned[0].shape == (160, 120, 3)
    np.testing.assert_array_equal(turned[0], np.rot90(plain[0], -1))
    clip = clips_of(path)[1]
    assert clip.frame_numbers[0] == 15
    assert (clip.height, clip.width) == (160, 120)
    frames = clip_frames(clip, (160, 120))  # after a seek
    np.testing.assert_array_equal(frames[0], np.rot90(plain[15], -1))


def test_pixels_that_are_not_square(tmp_path, moving_frames, write_video):
    """120 x 160 pixels, twice as wide as high: a picture of 60 x 160 square ones."""
    path = write_video(tmp_path / "wide.mkv", moving_frames(30), sample_aspect_ratio=Fraction(2))
    clip = clips_of(path)[0]
    assert (clip.height, clip.width, clip.pixel_aspect) == (60, 160, 2.0)
    full = next(decode(path, 60)).rgb()
    expected = full.reshape(60, 2, 160, 3).mean(1)
    frames = clip_frames(clip, (60, 160))
    assert np.abs(frames[0] - expected).max() <= 0.5
    square = clip_frames(clip, (60, 60))  # the centre
    assert np.abs(square[0] - expected[:, 50:110]).max() <= 0.5


def test_square_pixels_enlarge_neither_side():
    assert square_size(100, 200, 1.0) == (100, 200)
    assert square_size(100, 200, 2.0) == (50, 200)
    assert square_size(100, 200, 0.5) == (100, 100)
    assert square_size(1, 200, 100.0) == (1, 200)
