"""Epochs and mixtures: every clip once per epoch, proportions, closed form, seeds."""

import itertools

import numpy as np
import pytest

from flow3r.data.epochs import Epochs, MixedEpochs, Mixture, deal
from flow3r.errors import ConfigError
from flow3r.streams import numpy_generator

WEIGHTS = [(1, 1), (3, 1), (1, 99), (5, 2, 1), (1, 1, 1, 1, 1), (7, 3, 11, 2)]


def one_by_one(count, weights, phases):
    """The rule of `deal` told slowly: each source in turn takes its share of what is left."""
    left, seen = list(range(count)), {}
    for source, (weight, phase) in enumerate(zip(weights, phases)):
        total, had, others = sum(weights[source:]), 0, []
        for number, draw in enumerate(left):
            if ((number + 1) * weight + phase % total) // total > had:
                seen[draw] = (source, had)
                had += 1
            else:
                others.append(draw)
        left = others
    return [seen[draw] for draw in range(count)]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_dealing_is_the_slow_rule_in_closed_form(weights):
    phases = [17, 4, 9, 1, 0][: len(weights)]
    expected = one_by_one(400, weights, phases)
    for part in (np.arange(400), np.arange(123, 131), np.array([7, 300])):
        found = {}
        for source, places, numbers in deal(part, weights, phases):
            found |= {int(part[p]): (source, int(n)) for p, n in zip(places, numbers)}
        assert found == {int(draw): expected[draw] for draw in part}


@pytest.mark.parametrize("weights", WEIGHTS)
def test_proportions_hold_at_every_moment(weights):
    draws, counts = np.arange(5000), np.zeros((5001, len(weights)))
    for source, places, _ in deal(draws, weights, range(len(weights))):
        counts[places + 1, source] = 1
    counts = counts.cumsum(axis=0)
    ideal = np.arange(5001)[:, None] * np.array(weights) / sum(weights)
    assert (counts.sum(axis=1) == np.arange(5001)).all()
    assert np.abs(counts - ideal).max() < len(weights) - 1


def test_proportions_hold_after_two_thousand_million_draws():
    """Nothing overflows: 800000 clips, 2000 epochs."""
    start, weights = 2**31 - 10**6, (999_983, 7, 1_000_003)
    counts = [len(places) for _, places, _ in deal(np.arange(start, 2**31), weights, (5, 6, 7))]
    ideal = [10**6 * w / sum(weights) for w in weights]
    assert np.abs(np.array(counts) - ideal).max() < 4


def test_every_source_shows_each_clip_once_per_epoch_of_its_own():
    mixture = Mixture((5, 3), (2.0, 1.0))
    series = MixedEpochs(0, "unlabelled", mixture)
    drawn = series.at(np.arange(60))
    first, second = drawn[drawn < 5], drawn[drawn >= 5]
    assert (len(first), len(second)) == (40, 20)
    for epoch in range(8):
        assert sorted(first[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]
    for epoch in range(6):
        assert sorted(second[3 * epoch : 3 * epoch + 3]) == [5, 6, 7]


def test_any_draw_can_be_asked_for_first():
    mixture = Mixture((50, 20, 9), (1.5, 1.0, 0.25))
    whole = MixedEpochs(3, "x", mixture).at(np.arange(500))
    for start in (499, 123, 0, 77):
        part = MixedEpochs(3, "x", mixture).at(np.arange(start, min(start + 20, 500)))
        assert np.array_equal(part, whole[start : start + 20])


def test_seeds_and_streams_differ():
    mixture = Mixture((50, 20), (3.0, 2.0))
    drawn = [
        MixedEpochs(seed, stream, mixture).at(np.arange(60))
        for seed, stream in ((0, "x"), (1, "x"), (0, "y"))
    ]
    for one, other in itertools.combinations(drawn, 2):
        assert not np.array_equal(one, other)


def test_epochs_are_the_published_ones():
    """The order that recorded runs were trained with: a permutation of every epoch's own stream."""
    epochs = Epochs(4, "labelled", 7)
    expected = np.concatenate(
        [numpy_generator(4, "order/labelled", epoch).permutation(7) for epoch in range(6)]
    )
    for start, stop in ((0, 3), (3, 12), (38, 42), (0, 42), (5, 6)):
        assert np.array_equal(epochs.at(np.arange(start, stop)), expected[start:stop])
    assert len(epochs._orders) <= 2


def test_an_order_is_made_once_per_epoch(monkeypatch):
    made = []
    monkeypatch.setattr(
        "flow3r.data.epochs.numpy_generator",
        lambda seed, name, index: made.append(index) or numpy_generator(seed, name, index),
    )
    epochs = Epochs(0, "x", 1000)
    for step in range(100):
        epochs.at(np.arange(step * 24, step * 24 + 24))
    assert made == [0, 1, 2]


def test_weights_keep_their_proportions_exactly():
    assert Mixture((1, 1, 1), (0.1, 0.2, 0.7)).whole_weights == (1, 2, 7)
    assert Mixture((1, 1), (300.0, 100.0)).whole_weights == (3, 1)
    assert len(Mixture((4, 5), (1.0, 1.0))) == 9


@pytest.mark.parametrize(
    ("sizes", "weights", "message"),
    [
        ((1, 2), (1.0,), "one for each of the 2 sources"),
        ((1, 2), (1.0, 0.0), "must be positive"),
        ((1, 0), (1.0, 1.0), "clips in every source"),
        ((1, 2), (0.123456789012, 1.0), "too many digits"),
    ],
)
def test_bad_mixtures_are_refused(sizes, weights, message):
    with pytest.raises(ConfigError, match=message):
        Mixture(sizes, weights)
