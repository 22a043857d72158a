"""Cropping and the teacher's size, in closed form."""

import numpy as np
import pytest

from flow3r.data.video.frames import crop_box, enlargement, fit
from flow3r.errors import DataError


@pytest.mark.parametrize(
    ("source", "size", "aspect", "box"),
    [
        ((100, 200), (50, 50), 1.0, (0, 50, 100, 100)),
        ((200, 100), (50, 50), 1.0, (50, 0, 100, 100)),
        ((90, 120), (30, 40), 1.0, (0, 0, 90, 120)),
        ((100, 100), (50, 100), 2.0, (0, 0, 100, 100)),
        ((100, 100), (50, 50), 2.0, (0, 25, 100, 50)),
    ],
)
def test_crop_is_the_largest_centred_box(source, size, aspect, box):
    assert crop_box(source, size, aspect) == box
    image = np.full((*source, 3), 7, np.uint8)
    assert fit(image, size, aspect).shape == (*size, 3)


def test_teacher_size_is_a_multiple_within_the_source():
    assert enlargement((720, 1280), (64, 64), 1.0, 192) == 3
    assert enlargement((720, 1280), (64, 64), 1.0, 193) == 4
    assert enlargement((130, 1280), (64, 64), 1.0, 192) == 2
    assert enlargement((64, 64), (64, 64), 1.0, 192) == 1
    assert enlargement((720, 1280), (224, 224), 1.0, 192) == 1
    with pytest.raises(DataError, match="smaller"):
        enlargement((63, 640), (64, 64), 1.0, 192)
