"""Frames in, frames out."""

import numpy as np
import pytest

from flow3r.data.frame_store import FrameCodec, frames_key, pack_frames, unpack_frames
from flow3r.errors import ConfigError, DataError


def pictures(height=48, width=64):
    rows, columns = np.mgrid[:height, :width]
    planes = [rows * 3 + columns, 255 - columns * 2, rows + 40]
    first = np.stack(planes, -1).clip(0, 255).astype(np.uint8)
    return np.stack([first, first[::-1], first[:, ::-1]])


@pytest.mark.parametrize("shape", [(48, 64), (17, 31), (1, 1)])
def test_lossless_is_exact(shape):
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    for frames in (noise, pictures(*shape)):
        np.testing.assert_array_equal(unpack_frames(pack_frames(frames, FrameCodec())), frames)


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_lossy_codecs_are_close_and_keep_the_colours(name):
    frames = pictures()
    sizes = []
    for quality, error in ((95, 3.0), (60, 8.0)):
        payload = pack_frames(frames, FrameCodec(name, quality))
        found = unpack_frames(payload)
        assert found.shape == frames.shape
        assert found.dtype == np.uint8
        assert np.abs(found.astype(int) - frames).mean() < error
        sizes.append(len(payload))
    assert sizes[1] < sizes[0] < frames.nbytes


def test_frames_are_found_by_what_they_were_made_from():
    def key(source="v", numbers=(0, 3), working=(96, 128), size=(24, 32), codec=None):
        return frames_key(source, numbers, working, size, codec or FrameCodec())

    others = [
        key(source="w"),
        key(numbers=(0, 4)),
        key(working=(48, 64)),
        key(size=(48, 64)),
        key(codec=FrameCodec("jpeg")),
        key(codec=FrameCodec("jpeg", 90)),
        key(codec=FrameCodec("webp")),
    ]
    assert len({key(), *others}) == 1 + len(others)
    assert key() == key(codec=FrameCodec(quality=50))  # of no meaning without a loss


def test_another_codec_or_format_is_refused():
    with pytest.raises(ConfigError, match=r"name='png'.*lossless"):
        FrameCodec("png")
    with pytest.raises(ConfigError, match="quality=0"):
        FrameCodec("jpeg", 0)
    with pytest.raises(DataError, match="format 7"):
        unpack_frames(b"\x07" + pack_frames(pictures(), FrameCodec())[1:])
