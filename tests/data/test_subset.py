"""Nested subsets."""

import hashlib

import numpy as np
import pytest

from flow3r.data.subset import (
    named_share,
    named_subset,
    nested_counts,
    nested_order,
    nested_subset,
)
from flow3r.errors import ConfigError


def test_a_smaller_subset_is_part_of_every_larger_one():
    large = nested_subset(500, 400, "x")
    for count in (0, 1, 10, 399):
        assert np.array_equal(nested_subset(500, count, "x"), large[:count])


def test_the_order_is_a_permutation_and_depends_on_the_salt():
    order = nested_order(200, "x")
    assert sorted(order) == list(range(200))
    assert not np.array_equal(order, nested_order(200, "y"))


def test_a_larger_pool_keeps_the_relative_order():
    small, large = nested_order(50, "x"), nested_order(300, "x")
    assert np.array_equal([i for i in large if i < 50], small)


def test_the_order_never_changes():
    assert nested_order(10, "unlabelled").tolist() == [3, 4, 2, 6, 9, 7, 1, 8, 5, 0]


@pytest.mark.parametrize("count", [-1, 11])
def test_impossible_counts_name_the_range(count):
    with pytest.raises(ConfigError, match=r"0\.\.10"):
        nested_subset(10, count, "x")


NAMES = [f"film {i}.mp4/{i * 7:06d}" for i in range(2000)]


def test_the_order_is_that_of_the_digests():
    """The order is computed in words of 64 bits; here as bytes, one by one."""
    digests = [hashlib.sha256(f"x/{i}".encode()).digest() for i in range(3000)]
    assert nested_order(3000, "x").tolist() == sorted(range(3000), key=digests.__getitem__)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 1.0])
def test_a_share_has_about_that_many_clips(share):
    chosen = named_share(NAMES, share, "x")
    assert len(set(chosen.tolist())) == len(chosen)
    spread = 4 * (share * (1 - share) * len(NAMES)) ** 0.5
    assert len(chosen) == pytest.approx(share * len(NAMES), abs=spread)


def test_a_share_is_the_same_whatever_other_clips_there_are():
    """As a set of names, when clips come, go, or change their places."""
    rng = np.random.default_rng(0)
    chosen = {NAMES[i] for i in named_share(NAMES, 0.1, "x")}
    for _ in range(5):
        some = [NAMES[i] for i in rng.permutation(len(NAMES))[: rng.integers(100, 1900)]]
        others = [*some, *(f"new/{i}" for i in range(300))]
        again = {others[i] for i in named_share(others, 0.1, "x")}
        assert again & set(NAMES) == chosen & set(some)


def test_shares_and_counts_are_prefixes_of_one_order():
    whole = named_subset(NAMES, len(NAMES), "x")
    for share in (0.1, 0.2, 0.7):
        chosen = named_share(NAMES, share, "x")
        assert np.array_equal(chosen, whole[: len(chosen)])
    assert np.array_equal(named_share(NAMES, 1.0, "x"), whole)
    assert not np.array_equal(named_subset(NAMES, 100, "y"), whole[:100])


def test_a_share_never_changes():
    names = [f"v{i}" for i in range(40)]
    assert named_share(names, 0.1, "unlabelled").tolist() == sorted(
        (i for i in range(40) if _value(names[i]) < 0.1), key=lambda i: _value(names[i])
    )


def _value(name: str) -> float:
    digest = hashlib.sha256(f"unlabelled/{name}".encode()).digest()
    return int.from_bytes(digest, "big") / 2**256


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(ConfigError, match=r"must lie in \(0, 1\]"):
        named_share(NAMES, share, "x")


@pytest.mark.parametrize("sizes", [(5, 3), (1, 1, 1), (100, 1, 17, 3), (4,)])
def test_counts_of_sources_add_up_and_never_fall(sizes):
    before = (0,) * len(sizes)
    for total in range(sum(sizes) + 1):
        counts = nested_counts(total, sizes)
        assert sum(counts) == total
        assert all(b <= c <= s for b, c, s in zip(before, counts, sizes))
        ideal = [total * size / sum(sizes) for size in sizes]
        assert all(abs(c - i) < len(sizes) for c, i in zip(counts, ideal))
        before = counts
    assert before == sizes
    with pytest.raises(ConfigError, match="valid counts"):
        nested_counts(sum(sizes) + 1, sizes)
