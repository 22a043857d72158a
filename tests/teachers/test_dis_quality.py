"""DIS against exact flow: successive frames of generated video with several moving objects."""

import pytest
import torch

from experiments.teacher_clips import judged_clip
from flow3r.teachers.quality import Quality
from flow3r.teachers.registry import make_teacher


@pytest.fixture(scope="module")
def clips():
    return [judged_clip(128, "large", index) for index in range(8)]


def measured(teacher, clips, gap):
    quality = Quality()
    starts = range(5 - gap)
    pairs = torch.tensor([(a, a + gap) for a in starts] + [(a + gap, a) for a in starts])
    for index, clip in enumerate(clips):
        labels = teacher.label(clip.images, pairs, truth=clip.flow, index=index)
        quality.add(labels, *clip.flow(pairs), clip.moving[pairs[:, 0]])
    return quality.summary()


@pytest.mark.slow
def test_clips_of_large_motion_are_as_large_as_stated(clips):
    found = measured(make_teacher("exact"), clips, 1)
    assert 4.5 < found["true_flow_mean_px"] < 6.5
    assert found["epe/all"] == 0
    assert 19 * 0.85 < measured(make_teacher("exact"), clips, 4)["true_flow_mean_px"] < 23


@pytest.mark.slow
def test_dis_reaches_its_bar_between_successive_frames(clips):
    found = measured(make_teacher("dis"), clips, 1)
    assert found["epe/all"] <= 0.45
    assert found["under_1px/all"] >= 88
    assert found["covisibility_precision/all"] >= 96
    assert found["covisibility_recall/all"] >= 92


@pytest.mark.slow
def test_dis_reaches_its_bar_chained_over_four_frames(clips):
    found = measured(make_teacher("dis"), clips, 4)
    assert found["epe/all"] <= 1.6
    assert found["under_3px/all"] >= 85
    assert found["covisibility_precision/all"] >= 96
    assert found["covisibility_recall/all"] >= 88


@pytest.mark.slow
@pytest.mark.parametrize("gap", [1, 4])
def test_noisy_errs_as_dis_does(clips, gap):
    dis, noisy = (measured(make_teacher(name), clips, gap) for name in ("dis", "noisy"))
    for name in ("epe/all", "epe/moving", "epe/edges", "error_p50", "error_p90", "error_p99"):
        assert 0.65 < noisy[name] / dis[name] < 1.5, name
    assert noisy["error_correlation_4px"] == pytest.approx(dis["error_correlation_4px"], abs=0.15)
    for name in ("covisibility_precision/all", "covisibility_recall/all"):
        assert noisy[name] == pytest.approx(dis[name], abs=3.5)
