"""The batch plan: which clips each step sees, and that arms see the same."""

import numpy as np
import pytest

from flow3r.data.epochs import Mixture
from flow3r.data.mixing import BatchConfig, BatchPlan, Share
from flow3r.errors import ConfigError

CONFIG = BatchConfig(replay=2, labelled=3, flexible=5, filler_replay_share=0.4)


def plan(unlabelled: int, seed: int = 0, labelled: int = 7) -> BatchPlan:
    return BatchPlan(CONFIG, seed, {"source": 11, "labelled": labelled, "unlabelled": unlabelled})


def parts(batch_plan: BatchPlan, step: int) -> dict[str, np.ndarray]:
    return {p.name: p.positions for p in batch_plan.step(step)}


@pytest.mark.parametrize("step", [0, 1, 17, 1000])
def test_labelled_batches_are_the_same_in_every_arm(step):
    with_unlabelled, without = parts(plan(20), step), parts(plan(0), step)
    for name in ("replay", "labelled"):
        assert np.array_equal(with_unlabelled[name], without[name])


def test_every_arm_sees_equally_many_clips():
    for unlabelled in (0, 1, 20):
        for step in range(5):
            assert sum(map(len, parts(plan(unlabelled), step).values())) == CONFIG.clips == 10


def test_without_unlabelled_clips_labelled_ones_take_their_places():
    filled = parts(plan(0), 3)
    assert len(filled["filler-replay"]) == 2
    assert len(filled["filler-labelled"]) == 3
    assert "unlabelled" not in filled


def test_an_epoch_shows_every_clip_once():
    drawn = np.concatenate([parts(plan(20), s)["unlabelled"] for s in range(8)])
    assert sorted(drawn[:20]) == list(range(20))
    assert sorted(drawn[20:]) == list(range(20))
    assert not np.array_equal(drawn[:20], drawn[20:])


def test_a_pool_smaller_than_the_batch_repeats_within_it():
    drawn = np.concatenate([parts(plan(2), s)["unlabelled"] for s in range(4)])
    assert np.bincount(drawn).tolist() == [10, 10]


def test_seeds_differ_and_repeat():
    assert not np.array_equal(parts(plan(20, 0), 0)["labelled"], parts(plan(20, 1), 0)["labelled"])
    assert np.array_equal(parts(plan(20, 1), 5)["replay"], parts(plan(20, 1), 5)["replay"])


def test_an_empty_pool_is_named():
    with pytest.raises(ConfigError, match="labelled pool, which is empty"):
        plan(3, labelled=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replay": -1}, "replay=-1 must not be negative"),
        ({"flexible": 5, "accumulate": 2}, "must be divisible by accumulate=2"),
        ({"filler_replay_share": 1.5}, r"filler_replay_share=1.5"),
    ],
)
def test_bad_settings_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        BatchConfig(**({"replay": 2, "labelled": 2, "flexible": 2} | values))


MIXED = {"source": 11, "labelled": 7, "unlabelled": Mixture((12, 8), (1.0, 3.0))}


def test_a_mixture_leaves_the_labelled_clips_alone():
    for step in range(6):
        mixed, plain = parts(BatchPlan(CONFIG, 0, MIXED), step), parts(plan(20), step)
        for name in ("replay", "labelled"):
            assert np.array_equal(mixed[name], plain[name])


def test_a_mixture_is_in_proportion_in_every_batch_and_dealt_without_duplicates():
    whole = BatchPlan(CONFIG, 0, MIXED)
    shares = [BatchPlan(CONFIG, 0, MIXED, Share(rank, 3)) for rank in range(3)]
    drawn = []
    for step in range(80):
        together = parts(whole, step)["unlabelled"]
        dealt = [next(p for p in s.step(step) if p.name == "unlabelled") for s in shares]
        places = np.concatenate([p.places for p in dealt])
        positions = np.concatenate([p.positions for p in dealt])
        assert np.array_equal(positions[np.argsort(places)], together)
        assert 3 <= (together >= 12).sum() <= 4  # 3.75 of 5
        drawn.append(together)
    drawn = np.concatenate(drawn)
    assert np.bincount(drawn, minlength=20)[12:].max() - np.bincount(drawn)[12:].min() <= 1
    assert (drawn >= 12).sum() == pytest.approx(300, abs=1)


def test_a_resumed_plan_of_a_mixture_goes_on_where_it_was():
    before, after = BatchPlan(CONFIG, 2, MIXED), BatchPlan(CONFIG, 2, MIXED)
    expected = [parts(before, step)["unlabelled"] for step in range(30)]
    for step in (29, 13, 14):
        assert np.array_equal(parts(after, step)["unlabelled"], expected[step])
