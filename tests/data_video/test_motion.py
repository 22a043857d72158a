"""Motion statistics against known shifts."""

import cv2
import numpy as np
import pytest

from flow3r.data.video.motion import motion_and_overlap, thumbnail_size


def grey(frames):
    return np.stack([f[..., 0] for f in frames])


@pytest.mark.parametrize("shift", [(1, 0), (0, 2), (-2, 1)])
def test_motion_is_the_way_from_first_to_last_as_a_share_of_the_short_side(moving_frames, shift):
    motion, overlap = motion_and_overlap(grey(moving_frames(4, shift, (64, 96))), 0.5)
    assert motion == pytest.approx(3 * np.hypot(*shift) / 64, rel=0.08)
    assert overlap > 0.8


def test_a_still_picture_does_not_move(moving_frames):
    motion, overlap = motion_and_overlap(grey(moving_frames(3, (0, 0), (64, 64))), 0.9)
    assert motion < 1e-3
    assert overlap == 1.0


def test_the_quantile_sees_something_small_that_moves(moving_frames):
    images = grey(moving_frames(4, (0, 0), (64, 96)))
    moving = grey(moving_frames(4, (3, 0), (64, 96)))
    images[:, 16:56, 20:60] = moving[:, 16:56, 20:60]  # a quarter of the picture
    assert motion_and_overlap(images, 0.5)[0] < 0.01
    assert motion_and_overlap(images, 0.9)[0] > 0.08


def test_other_pictures_do_not_overlap(moving_frames):
    images = grey(moving_frames(2, (0, 0), (64, 64)))
    images[1] = cv2.rotate(255 - images[1], cv2.ROTATE_180)
    assert motion_and_overlap(images, 0.9)[1] < 0.3


def test_thumbnails_have_the_shape_of_the_picture():
    assert thumbnail_size(1080, 1920) == (64, 114)
    assert thumbnail_size(1920, 1080) == (114, 64)
    assert thumbnail_size(40, 40) == (40, 40)  # never enlarged ...
    assert thumbnail_size(10, 2560) == (16, 256)  # ... but DIS needs 16
