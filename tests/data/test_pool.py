"""Pools over one and several stores."""

import numpy as np
import pytest
import torch

from flow3r.data.pool import Pool
from flow3r.data.store import StoreLayout
from flow3r.errors import ConfigError, DataError


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


def test_unlabelled_clips_of_several_stores_come_in_the_order_asked_for(make_store):
    stores = [make_store("a", 3, seed=1), make_store("b", 4, seed=2)]
    pool = Pool(stores, [np.array([2, 0]), np.array([3, 1, 0])])
    asked = np.array([4, 0, 3, 1, 0])
    for read in (Pool.unlabelled, Pool.calibrated):
        clips = read(pool, asked)
        for place, (store, index) in enumerate([(1, 0), (0, 2), (1, 1), (0, 0), (0, 2)]):
            one = stores[store].calibrated(np.array([index]))
            assert torch.equal(clips.images[place], one.images[0])
            assert torch.equal(clips.flow.covisibility[place], one.flow.covisibility[0])
            if clips.intrinsics is not None:
                assert torch.equal(clips.intrinsics[place], one.intrinsics[0])


def test_a_union_takes_of_every_store_in_proportion_to_its_size(make_store):
    stores = [make_store("a", 6, seed=1), make_store("b", 2, seed=2)]
    small, large = (Pool.nested_union(stores, count, "x") for count in (4, 8))
    assert small.counts == (3, 1)
    assert large.counts == (6, 2)
    found = [pool.unlabelled(np.arange(len(pool))).images for pool in (small, large)]
    everything = {image.numpy().tobytes() for image in found[1]}
    assert {image.numpy().tobytes() for image in found[0]} < everything


class Named:
    """A source whose clips have names."""

    def __init__(self, names):
        self.names = names
        self.layout = StoreLayout(2, 4, 4, ((0, 1),), labelled=False)

    def __len__(self):
        return len(self.names)

    def clip_name(self, index):
        return self.names[index]


def test_named_clips_are_chosen_by_their_names():
    few, more = Named([f"v{i}" for i in range(50)]), Named([f"v{i}" for i in range(99, -1, -1)])

    def chosen(pool):
        return {pool.clip_name(position) for position in range(len(pool))}

    of_few, of_more = (chosen(Pool.shares([s], 0.3, "x")) for s in (few, more))
    assert of_few == of_more & set(few.names)
    assert chosen(Pool.nested(more, len(of_more), "x")) == of_more
    with pytest.raises(ConfigError, match="no clip"):
        Pool.shares([few], 1e-9, "x")


def test_a_share_of_clips_without_names_is_refused(make_store):
    with pytest.raises(ConfigError, match=r"have none; .*data\.unlabelled_clips"):
        Pool.shares([make_store("a", 3)], 0.5, "x")


def test_stores_of_different_layout_are_refused(make_store):
    with pytest.raises(DataError, match="different layout"):
        Pool.whole([make_store("a", 1), make_store("b", 1, frames=3)])


def test_an_empty_pool_has_no_clips():
    assert len(Pool([], [])) == 0
