"""Videos made here: a texture that moves by whole pixels."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

HEIGHT, WIDTH = 120, 160


def _texture():
    rng = np.random.default_rng(0)
    layers = [
        cv2.resize(rng.random((640 // s, 640 // s)), (640, 640), interpolation=cv2.INTER_CUBIC)
        for s in (8, 16, 32)
    ]
    return np.clip(np.mean(layers, 0) * 400 - 72, 0, 255).astype(np.uint8)


_TEXTURE = _texture()


@pytest.fixture(scope="session")
def moving_frames():
    """A function: count, shift (x, y) px per frame, size -> RGB frames."""

    def frames(count, shift=(2, -1), size=(HEIGHT, WIDTH)):
        x, y = shift
        images = []
        for i in range(count):
            top, left = (200 - y * i) % 400, (300 - x * i) % 400
            part = _TEXTURE[top : top + size[0], left : left + size[1]]
            images.append(np.stack([part, 255 - part, part // 2], -1))
        return images

    return frames


@pytest.fixture(scope="session")
def write_video():
    """A function that encodes RGB frames; seconds: their time stamps (default: a steady rate)."""

    def write(path, frames, rate=30, codec="libx264", options=None, seconds=None, **stream_values):
        with av.open(str(path), "w") as container:
            stream = container.add_stream(
                codec, rate=rate, options=options or {"crf": "8", "g": "10"}
            )
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = stream_values.pop("pix_fmt", "yuv420p")
            if seconds is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            for name, value in stream_values.items():
                setattr(stream.codec_context, name, value)
            for i, image in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                if seconds is not None:
                    frame.pts, frame.time_base = round(1000 * seconds[i]), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write
