"""Which pairs of a clip a step uses."""

import numpy as np
import pytest

from flow3r.data.pairs import PairsConfig, choose_pairs, ordered_pairs
from flow3r.errors import ConfigError

PAIRS = ordered_pairs(4).numpy()
GAP = np.abs(PAIRS[:, 0] - PAIRS[:, 1])


def draw(config, clips=20000, covisibility=None, seed=0):
    gumbel = np.random.default_rng(seed).gumbel(size=(clips, len(PAIRS)))
    return choose_pairs(config, config.weights(PAIRS), gumbel, covisibility)


def test_pairs_of_a_clip_are_different_and_in_order():
    chosen = draw(PairsConfig(per_clip=5))
    assert chosen.shape == (20000, 5)
    assert (np.diff(chosen, axis=1) > 0).all()


def test_without_weights_every_pair_is_as_likely():
    counts = np.bincount(draw(PairsConfig(per_clip=3)).ravel(), minlength=12)
    assert np.allclose(counts / 20000, 3 / 12, atol=0.015)


def test_a_gap_is_drawn_by_its_weight_however_many_pairs_it_has():
    """Six pairs have gap 1, two have gap 3; the first draw shows the weights."""
    config = PairsConfig(per_clip=1, gaps={"1": 3.0, "3": 1.0})
    gaps = GAP[draw(config)[:, 0]]
    assert set(gaps) == {1, 3}
    assert (gaps == 1).mean() == pytest.approx(0.75, abs=0.015)
    of_one = np.bincount(draw(config)[gaps == 1, 0], minlength=12)[GAP == 1]
    assert np.allclose(of_one / of_one.sum(), 1 / 6, atol=0.015)


def test_the_draw_without_replacement_is_one_after_the_other():
    """Probabilities of sets of two, against the formula of successive draws."""
    config = PairsConfig(per_clip=2, gaps={"1": 2.0, "2": 1.0})
    weights = config.weights(PAIRS)
    weights = weights / weights.sum()
    chosen = draw(config, clips=100_000)
    for first, second in ((0, 1), (0, 3), (1, 4)):
        a, b = weights[first], weights[second]
        expected = a * b / (1 - a) + b * a / (1 - b)
        found = ((chosen == [first, second]).all(axis=1)).mean()
        assert found == pytest.approx(expected, abs=0.004)


def test_hidden_pairs_are_drawn_only_where_there_are_too_few_others():
    covisibility = np.tile(np.linspace(0, 1, 12), (3000, 1))
    covisibility[0] = np.linspace(0.49, 0.0, 12)
    config = PairsConfig(per_clip=4, min_covisibility=0.5)
    chosen = draw(config, 3000, covisibility)
    assert (covisibility[1:].max(axis=1)[:, None] >= 0.5).all()
    assert (np.take_along_axis(covisibility, chosen, 1)[1:] >= 0.5).all()
    assert len(np.unique(chosen[1:])) == 6
    assert chosen[0].tolist() == [0, 1, 2, 3]


def test_covisibility_does_not_bring_back_a_gap_that_is_not_wanted():
    config = PairsConfig(per_clip=2, gaps={"3": 1.0}, min_covisibility=0.5)
    chosen = draw(config, 50, np.where(GAP == 3, 0.1, 0.9)[None].repeat(50, 0))
    assert (GAP[chosen] == 3).all()


def test_more_pairs_than_are_labelled_are_refused():
    with pytest.raises(ConfigError, match=r"per_clip=3.*labelled for 2 pairs.*\[1, 2, 3\]"):
        PairsConfig(per_clip=3, gaps={"3": 1.0}).weights(PAIRS)
    with pytest.raises(ConfigError, match=r"per_clip=13.*12 pairs"):
        PairsConfig(per_clip=13).weights(PAIRS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"per_clip": 0}, "per_clip=0"),
        ({"per_clip": 1, "gaps": {"0": 1.0}}, r"gaps=\{'0': 1.0\}"),
        ({"per_clip": 1, "gaps": {"near": 1.0}}, "gaps="),
        ({"per_clip": 1, "gaps": {"1": -1.0}}, "gaps="),
        ({"per_clip": 1, "min_covisibility": 1.5}, "min_covisibility=1.5"),
        ({"gaps": {"1": 1.0}}, "say how many: per_clip"),
        ({"min_covisibility": 0.1}, "say how many: per_clip"),
    ],
)
def test_bad_settings_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        PairsConfig(**values)
