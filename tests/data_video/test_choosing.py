"""Which clips a stream of frames gives, with times and contents made here."""

from itertools import pairwise

import numpy as np
import pytest

from flow3r.data.video import choosing
from flow3r.data.video.choosing import choose_clips, with_between
from flow3r.data.video.config import IngestConfig
from flow3r.data.video.reasons import Tally
from flow3r.data.video.shots import Sight
from flow3r.errors import ConfigError, DataError

BASE = {"frames": 3, "gap_seconds": 0.1, "spacing_seconds": 0.5, "chain_steps": 1}


def sights(images, seconds, restarts=()):
    """Frames with these times; a restart at the first and wherever asked for."""
    return [
        Sight(i, t, image, 480, 640, 1.0, i == 0 or i in restarts)
        for i, (image, t) in enumerate(zip(images, seconds))
    ]


def chosen(found, **changes):
    tally = Tally()
    clips = list(choose_clips(found, IngestConfig(**{**BASE, **changes}), tally))
    return clips, tally


def numbers(clips):
    return [[c.frames[i].number for i in c.clip_positions] for c in clips]


@pytest.fixture
def lively(monkeypatch):
    """Every clip moves enough, without looking."""
    monkeypatch.setattr(choosing, "motion_and_overlap", lambda grey, quantile: (0.1, 0.9))


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    return lambda count: list(rng.integers(0, 255, (count, 16, 16, 3), np.uint8))


def at_rate(rate, count, begin=0.0):
    return begin + np.arange(count) / rate


@pytest.mark.usefixtures("lively")
def test_clips_begin_every_spacing_and_step_by_the_gap(noise):
    clips, tally = chosen(sights(noise(60), at_rate(30, 60)))
    assert numbers(clips) == [[0, 3, 6], [15, 18, 21], [30, 33, 36], [45, 48, 51]]
    assert not tally.counts
    assert [c.shot for c in clips] == [0] * 4
    assert numbers(chosen(sights(noise(60), at_rate(30, 60, 77.7)))[0]) == numbers(clips)


@pytest.mark.usefixtures("lively")
def test_a_clip_needs_all_its_frames(noise):
    assert numbers(chosen(sights(noise(7), at_rate(30, 7)))[0]) == [[0, 3, 6]]
    clips, tally = chosen(sights(noise(4), at_rate(30, 4)))
    assert clips == []
    assert tally.reasons() == ["too short (at 0.00 s, 0.10 s for clips of 0.20 s)"]


@pytest.mark.usefixtures("lively")
def test_frame_rates_that_do_not_divide_the_gap(noise):
    clips, _ = chosen(sights(noise(50), at_rate(24, 50)))  # 0.1 s = 2.4 frames
    assert numbers(clips) == [[0, 2, 4], [12, 14, 16], [24, 26, 28], [36, 38, 40]]


@pytest.mark.usefixtures("lively")
def test_frames_of_uneven_times_are_chosen_by_time(noise):
    seconds = np.sort(np.random.default_rng(1).uniform(0, 4, 160))
    clips, _ = chosen(sights(noise(160), seconds), spacing_seconds=0.25)
    assert len(clips) >= 10
    for own in numbers(clips):
        for first, second in pairwise(own):
            nearest = np.abs(seconds - seconds[first] - 0.1).argmin()
            assert second == max(nearest, first + 1)


@pytest.mark.usefixtures("lively")
def test_slow_videos_give_successive_frames(noise):
    clips, tally = chosen(sights(noise(6), at_rate(2, 6)))
    assert numbers(clips) == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert not tally.counts
    clips, _ = chosen(sights(noise(5), at_rate(0.1, 5)))
    assert numbers(clips) == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]


@pytest.mark.usefixtures("lively")
def test_holes_in_the_time_stamps(noise):
    seconds = at_rate(30, 60)
    seconds[18:] += 1.0
    clips, tally = chosen(sights(noise(60), seconds))
    assert tally.counts == {"hole in the time stamps": 2}  # from 0.5 s, and from the frame before
    assert [0, 3, 6] in numbers(clips)
    for own in numbers(clips):
        assert not own[0] < 18 <= own[-1]


@pytest.mark.usefixtures("lively")
def test_clips_lie_within_a_shot(noise, moving_frames):
    first = moving_frames(20, (1, 0), (48, 64))
    second = [np.roll(f, 1, -1) for f in moving_frames(25, (1, 0), (48, 64))]
    clips, tally = chosen(sights(first + second, at_rate(30, 45)), spacing_seconds=0.2)
    assert numbers(clips) == [
        *([n, n + 3, n + 6] for n in (0, 6, 12)),
        *([n, n + 3, n + 6] for n in (20, 26, 32, 38)),
    ]
    assert [c.shot for c in clips] == [0] * 3 + [1] * 4
    assert not tally.counts


@pytest.mark.usefixtures("lively")
def test_a_shot_that_is_too_short_is_counted(noise):
    clips, tally = chosen(sights(noise(40), at_rate(30, 40), restarts=(20, 24)))
    assert numbers(clips) == [[0, 3, 6], [24, 27, 30]]
    assert [c.shot for c in clips] == [0, 2]
    assert tally.counts == {"too short": 1}


def test_what_does_not_move_is_static(moving_frames):
    still = moving_frames(60, (0, 0), (64, 96))
    clips, tally = chosen(sights(still, at_rate(30, 60)))
    assert clips == []
    [reason] = tally.reasons()
    assert reason.startswith("static (4 places, the first at 0.00 s, motion 0.000")
    clips, _ = chosen(sights(moving_frames(60, (1, 0), (64, 96)), at_rate(30, 60)))
    assert [c.motion for c in clips] == pytest.approx([6 / 64] * 4, rel=0.1)
    assert all(c.overlap > 0.7 for c in clips)


def test_black_blank_and_too_fast(moving_frames):
    images = moving_frames(60, (1, 0), (64, 96))
    images[3] = np.zeros_like(images[0])  # own frames of the clips at 0, 15 and 30
    images[18] = np.full_like(images[0], 200)
    images[33] = 255 - np.roll(images[33][::-1, ::-1], 1, -1)
    clips, tally = chosen(sights(images, at_rate(30, 60)), cut_content=1e9)
    assert numbers(clips) == [[45, 48, 51]]
    assert tally.counts == {"black": 1, "blank": 1, "motion too fast": 1}
    loose = {"min_brightness": 0.0, "min_contrast": 0.0, "min_overlap": 0.0, "min_motion": 0.0}
    clips, tally = chosen(sights(images, at_rate(30, 60)), cut_content=1e9, **loose)
    assert len(clips) == 4


@pytest.mark.usefixtures("lively")
def test_frames_between_are_for_chaining(noise):
    [clip, *_] = chosen(sights(noise(20), at_rate(30, 20)), gap_seconds=0.2, chain_steps=3)[0]
    assert [f.number for f in clip.frames] == [0, 2, 4, 6, 8, 10, 12]
    assert clip.clip_positions == (0, 3, 6)
    assert with_between([0, 3, 6], 1) == [0, 3, 6]
    assert with_between([0, 3, 6], 9) == list(range(7))


@pytest.mark.usefixtures("lively")
def test_memory_does_not_grow_with_the_length(noise, monkeypatch):
    held = []

    def watched(shot, sight, add=choosing._Shot.add):
        add(shot, sight)
        held.append(len(shot.frames))

    monkeypatch.setattr(choosing._Shot, "add", watched)
    images = noise(10)
    frames = (Sight(i, i / 30, images[i % 10], 16, 16, 1.0, i == 0) for i in range(5000))
    clips = sum(1 for _ in choose_clips(frames, IngestConfig(**BASE), Tally()))
    assert clips == 333
    assert max(held) < 30


def test_absurd_frame_rates_are_refused(noise):
    image = noise(1)[0]
    frames = (Sight(i, i * 1e-9, image, 16, 16, 1.0, i == 0) for i in range(10**6))
    with pytest.raises(DataError, match="frame rate too high"):
        list(choose_clips(frames, IngestConfig(**BASE), Tally()))


def test_settings_are_checked_and_identify_the_results():
    for name, value in {
        "frames": 1,
        "gap_seconds": 0.0,
        "max_seconds": 0.0,
        "min_side": 8,
        "min_motion": 2.0,
        "cut_ratio": 0.0,
        "image_rate": -1.0,
    }.items():
        with pytest.raises(ConfigError, match=f"{name}="):
            IngestConfig(**{name: value})
    assert IngestConfig().fingerprint == IngestConfig().fingerprint
    assert IngestConfig().fingerprint != IngestConfig(min_motion=0.02).fingerprint
    assert IngestConfig().clip_seconds == pytest.approx(0.6)
