"""Pictures: stored pixels, and refusal of what is damaged."""

import numpy as np
import pytest
from PIL import Image

from flow3r.data.readers.images import image_size, read_rgb, read_upright_rgb
from flow3r.errors import DataError

PICTURE = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
EXIF_ORIENTATION = 0x0112


def test_pixels_come_as_they_are_stored(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PICTURE).save(path)
    assert np.array_equal(read_rgb(path), PICTURE)
    assert image_size(path) == (20, 30)
    Image.fromarray(np.dstack([PICTURE, PICTURE[..., :1]])).save(path)
    assert np.array_equal(read_rgb(path), PICTURE)
    Image.fromarray(PICTURE[..., 0]).save(path)
    assert np.array_equal(read_rgb(path), PICTURE[..., :1].repeat(3, -1))


def test_orientation_is_followed_only_upright(tmp_path):
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(PICTURE).save(path, exif=exif)
    assert np.array_equal(read_rgb(path), PICTURE)
    assert np.array_equal(read_upright_rgb(path), np.rot90(PICTURE, -1))


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_file_that_ends_early_is_refused(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(PICTURE).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(DataError, match=name):
        read_rgb(path)


def test_what_is_no_picture_is_named(tmp_path):
    path = tmp_path / "a.png"
    with pytest.raises(DataError, match=r"a\.png: no such file; expected an image"):
        read_rgb(path)
    path.write_text("no picture")
    with pytest.raises(DataError, match=r"a\.png: cannot be read as an image"):
        image_size(path)
    Image.fromarray(PICTURE[..., 0].astype(np.uint16)).save(path)
    with pytest.raises(DataError, match="more than 8 bits"):
        read_rgb(path)
