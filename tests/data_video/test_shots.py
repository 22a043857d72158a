"""Shot cuts in streams whose cuts are known."""

import numpy as np
import pytest

from flow3r.data.video.shots import REACH, Sight, content_change, with_cuts


def sight(number, image, restart=False):
    return Sight(number, number / 30, image, 64, 64, 1.0, restart)


def plain(colour, size=(8, 8)):
    return np.full((*size, 3), colour, np.uint8)


def begins(sights):
    return [s.number for s, cut in with_cuts(sights, 3.0, 15.0) if cut]


def scenes(moving_frames, *lengths, shift=(2, 1)):
    """Successive shots: the same texture in other colours."""
    images = []
    for shot, length in enumerate(lengths):
        frames = moving_frames(length, shift, (48, 64))
        images += [np.roll(np.roll(f, shot, -1), 17 * shot, 0) for f in frames]
    return [sight(i, image, restart=i == 0) for i, image in enumerate(images)]


def test_content_change_is_the_mean_difference_of_hue_saturation_and_value():
    assert content_change(plain((10, 10, 10)), plain((10, 10, 10))) == 0
    assert content_change(plain((10, 10, 10)), plain((40, 40, 40))) == pytest.approx(30 / 3)
    # pure red to pure green: hue 0 to 60 (OpenCV halves degrees)
    assert content_change(plain((255, 0, 0)), plain((0, 255, 0))) == pytest.approx(60 / 3)


def test_cuts_are_found_where_they_are(moving_frames):
    assert begins(scenes(moving_frames, 20, 15, 30)) == [0, 20, 35]


def test_every_frame_comes_out_once_in_order(moving_frames):
    sights = scenes(moving_frames, 9, 2, 1, 8)
    assert [s.number for s, _ in with_cuts(sights, 3.0, 15.0)] == list(range(20))
    assert list(with_cuts([], 3.0, 15.0)) == []
    assert begins(sights[:1]) == [0]


def test_fast_motion_and_changes_of_light_are_no_cuts(moving_frames):
    assert begins(scenes(moving_frames, 40, shift=(23, 11))) == [0]
    base = moving_frames(1, size=(48, 64))[0]
    light = np.linspace(0.3, 1, 30)
    fading = [sight(i, (base * light[i]).astype(np.uint8), i == 0) for i in range(30)]
    assert begins(fading) == [0]


def test_a_restart_begins_a_shot_and_is_compared_with_nothing(moving_frames):
    images = moving_frames(20, size=(48, 64))
    small = moving_frames(20, size=(24, 32))
    sights = [sight(i, image, i == 0) for i, image in enumerate(images[:10])]
    sights += [sight(10 + i, image, i == 0) for i, image in enumerate(small[:10])]
    assert begins(sights) == [0, 10]


def test_frames_are_held_back_by_two(moving_frames):
    taken = 0

    def counted():
        nonlocal taken
        for s in scenes(moving_frames, 30):
            taken += 1
            yield s

    for s, _ in with_cuts(counted(), 3.0, 15.0):
        assert taken - s.number <= REACH + 1
