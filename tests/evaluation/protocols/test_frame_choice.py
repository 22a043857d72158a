import numpy as np
import pytest

from flow3r.errors import ConfigError, DataError
from flow3r.evaluation.protocols.frames import choose_frames
from flow3r.evaluation.protocols.protocol import FrameChoice, SizeRule
from flow3r.evaluation.protocols.size import input_size


@pytest.mark.parametrize(
    ("choice", "frames", "expected"),
    [
        (FrameChoice(step=40), 500, list(range(0, 500, 40))),  # 7-Scenes, dense: 13
        (FrameChoice(step=40), 1000, list(range(0, 1000, 40))),  # 25
        (FrameChoice(step=200), 1000, [0, 200, 400, 600, 800]),
        (FrameChoice(step=500), 400, [0]),  # NRGBD's thin_geometry, sparse
        (FrameChoice(step=3, count=90), 1000, list(range(0, 270, 3))),  # TUM, ScanNet
        (FrameChoice(start=30, count=110), 400, list(range(30, 140))),  # Bonn
        (FrameChoice(start=30, count=110), 50, list(range(30, 50))),
        (FrameChoice(rule="spread", count=4), 10, [0, 3, 6, 9]),
        (FrameChoice(rule="spread", count=4), 3, []),
        (FrameChoice(minimum=50), 49, []),
        (FrameChoice(rule="listed", listed={"s": (4, 0)}), 5, [4, 0]),
        (FrameChoice(rule="listed", listed={"other": (4, 0)}), 5, []),
    ],
)
def test_frames_by_rule(choice, frames, expected):
    assert choose_frames(choice, frames, "s").tolist() == expected


def test_random_frames_depend_on_seed_name_and_length_only():
    choice = FrameChoice(rule="random", count=10, minimum=50)
    first = choose_frames(choice, 202, "apple/110_13051_23361")
    assert len(set(first.tolist())) == 10
    assert np.array_equal(first, choose_frames(choice, 202, "apple/110_13051_23361"))
    assert not np.array_equal(first, choose_frames(choice, 202, "apple/110_13051_23362"))
    other = FrameChoice(rule="random", count=10, minimum=50, seed=43)
    assert not np.array_equal(first, choose_frames(other, 202, "apple/110_13051_23361"))
    assert first.min() >= 0
    assert first.max() < 202
    assert first.tolist() != sorted(first.tolist())  # in the order drawn, as published
    assert choose_frames(choice, 49, "apple/1").size == 0


def test_random_frames_are_drawn_evenly():
    choice = FrameChoice(rule="random", count=10)
    counts = np.zeros(40)
    for scene in range(2000):
        counts[choose_frames(choice, 40, f"s{scene}")] += 1
    assert np.abs(counts / 2000 - 0.25).max() < 0.05


def test_a_listed_frame_that_does_not_exist():
    choice = FrameChoice(rule="listed", listed={"s": (4, 9)})
    with pytest.raises(DataError, match=r"\[9\], it has 5"):
        choose_frames(choice, 5, "s")


def test_choices_that_say_nothing():
    for wrong in ({"rule": "random"}, {"step": 0}, {"rule": "listed"}, {"listed": {"a": (1,)}}):
        with pytest.raises(ConfigError):
            FrameChoice(**wrong)


@pytest.mark.parametrize(
    ("rule", "source", "expected"),
    [
        (SizeRule(518), (480, 640), (392, 518)),
        (SizeRule(512, rounding="down", fit="stretch"), (480, 640), (378, 504)),
        (SizeRule(512, rounding="down", fit="stretch"), (436, 1024), (210, 504)),
        (SizeRule(512, rounding="down", fit="stretch"), (352, 1216), (140, 504)),
        (SizeRule(112), (480, 640), (84, 112)),
        (SizeRule(14), (10, 640), (14, 14)),
    ],
)
def test_input_sizes(rule, source, expected):
    assert input_size(rule, *source) == expected
