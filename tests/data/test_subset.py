"""Nested subsets."""

import numpy as np
import pytest

from flow3r.data.subset import nested_order, nested_subset
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
