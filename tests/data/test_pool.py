"""Pools over one and several stores."""

import numpy as np
import pytest
import torch

from flow3r.data.pool import Pool
from flow3r.errors import DataError


def test_clips_of_several_stores_come_in_the_order_asked_for(make_store):
    stores = [make_store("a", 3, seed=1), make_store("b", 2, seed=2)]
    pool = Pool.whole(stores)
    assert len(pool) == 5
    asked = np.array([4, 0, 3, 2])
    clips = pool.labelled(asked)
    for place, (store, index) in enumerate([(1, 1), (0, 0), (1, 0), (0, 2)]):
        one = stores[store].labelled(np.array([index]))
        assert torch.equal(clips.images[place], one.images[0])
        assert torch.equal(clips.depth[place], one.depth[0])
        assert torch.equal(clips.flow.target_px[place], one.flow.target_px[0])


def test_a_nested_pool_is_part_of_a_larger_one(make_store):
    store = make_store("a", 6)
    small, large = Pool.nested(store, 2, "x"), Pool.nested(store, 5, "x")
    positions = np.arange(2)
    assert torch.equal(small.unlabelled(positions).images, large.unlabelled(positions).images)


def test_an_unlabelled_pool_of_two_stores_is_refused(make_store):
    pool = Pool.whole([make_store("a", 1), make_store("b", 1)])
    with pytest.raises(DataError, match="exactly one store"):
        pool.unlabelled(np.array([0]))


def test_stores_of_different_layout_are_refused(make_store):
    with pytest.raises(DataError, match="different layout"):
        Pool.whole([make_store("a", 1), make_store("b", 1, frames=3)])


def test_an_empty_pool_has_no_clips():
    assert len(Pool([], [])) == 0
