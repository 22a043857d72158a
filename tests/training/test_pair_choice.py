"""Pairs drawn per clip: the same in every arm, on every rank, and what reaches the losses."""

import dataclasses

import numpy as np
import pytest
import torch

from flow3r.data.mixing import WHOLE, BatchConfig, BatchPlan, Share
from flow3r.data.pairs import PairsConfig
from flow3r.data.pool import Pool
from flow3r.errors import ConfigError, DataError
from flow3r.training.batches import BatchLoader, split
from flow3r.training.config import AugmentationConfig

BATCH = BatchConfig(2, 2, 4, pairs=PairsConfig(per_clip=2, gaps={"1": 2.0, "2": 1.0}))


@pytest.fixture
def load(make_store):
    """A function: batch config, unlabelled clips or not, share -> a loader of three-frame clips."""
    target = make_store("target", 6, 2, frames=3)
    stores = [make_store("source", 5, 1, frames=3), make_store("other", 4, 4, frames=3)]

    def make(batch: BatchConfig = BATCH, unlabelled: bool = True, share: Share = WHOLE):
        pools = {
            "source": Pool.whole(stores),
            "labelled": Pool.whole([target]),
            "unlabelled": Pool.whole([target, stores[1]]) if unlabelled else Pool([], []),
        }
        plan = BatchPlan(batch, 0, {name: len(pool) for name, pool in pools.items()}, share)
        return BatchLoader(plan, pools, AugmentationConfig(gain=0.0, frame_gain=0.0), "cpu")

    return make


def everything(batch: BatchConfig) -> BatchConfig:
    return dataclasses.replace(batch, pairs=PairsConfig())


def test_what_is_drawn_is_what_all_pairs_hold(load):
    """Flow and covisibility of the drawn pairs, looked up in the batch with all pairs."""
    some, whole = load().step(3), load(everything(BATCH)).step(3)
    for drawn, full in ((some.labelled, whole.labelled), (some.unlabelled, whole.unlabelled)):
        assert torch.equal(drawn.images, full.images)
        assert drawn.flow.pairs.shape == (len(drawn.images), 2, 2)
        numbers = {tuple(pair): n for n, pair in enumerate(full.flow.pairs.tolist())}
        for clip, pairs in enumerate(drawn.flow.pairs.tolist()):
            for place, pair in enumerate(pairs):
                stored = full.flow.target_px[clip, numbers[tuple(pair)]]
                assert torch.equal(drawn.flow.target_px[clip, place], stored)
                stored = full.flow.covisibility[clip, numbers[tuple(pair)]]
                assert torch.equal(drawn.flow.covisibility[clip, place], stored)


def test_draws_change_from_step_to_step_and_repeat(load):
    first, again, other = load().step(1), load().step(1), load().step(2)
    assert torch.equal(first.unlabelled.flow.pairs, again.unlabelled.flow.pairs)
    assert not torch.equal(first.unlabelled.flow.pairs, other.unlabelled.flow.pairs)


def test_labelled_clips_have_the_same_pairs_in_every_arm(load):
    with_unlabelled, without = load().step(2).labelled, load(unlabelled=False).step(2).labelled
    shared = len(with_unlabelled.images)
    assert torch.equal(with_unlabelled.flow.pairs, without.flow.pairs[:shared])
    assert torch.equal(with_unlabelled.flow.target_px, without.flow.target_px[:shared])


@pytest.mark.parametrize("processes", [2, 3])
def test_the_pairs_of_a_clip_do_not_depend_on_the_ranks(processes, load):
    def flow(batch):
        parts = [batch.labelled.flow] + ([batch.unlabelled.flow] if batch.unlabelled else [])
        return [
            (pairs.numpy().tobytes(), target.numpy().tobytes())
            for part in parts
            for pairs, target in zip(part.pairs, part.target_px, strict=True)
        ]

    for step in range(3):
        dealt = [flow(load(share=Share(r, processes)).step(step)) for r in range(processes)]
        assert sorted(clip for clips in dealt for clip in clips) == sorted(flow(load().step(step)))


def test_accumulation_splits_the_pairs_with_their_clips(load):
    batch = dataclasses.replace(BATCH, accumulate=2)
    whole, halves = load(batch).step(0), split(load(batch).step(0), 2)
    joined = torch.cat([half.unlabelled.flow.pairs for half in halves])
    assert torch.equal(joined, whole.unlabelled.flow.pairs)


def test_covisible_pairs_are_preferred(load):
    pairs = PairsConfig(per_clip=1, min_covisibility=0.5)
    loader = load(dataclasses.replace(BATCH, pairs=pairs))
    for step in range(4):
        part = loader.plan.step(step)[-1]
        stored = loader.pools["unlabelled"].pair_covisibility(part.positions)
        drawn = loader.step(step).unlabelled.flow
        for clip, pair in enumerate(drawn.pairs[:, 0].tolist()):
            number = loader.pools["unlabelled"].pairs.tolist().index(pair)
            mean = stored[clip, number]
            assert mean == pytest.approx(float(drawn.covisibility[clip, 0].mean()), abs=1e-6)
            assert mean >= 0.5 or mean == stored[clip].max()


@pytest.mark.parametrize("formulation", ["flow-factored", "flow-projective", "flow-tracking"])
def test_all_drawn_pairs_are_all_pairs(formulation, load, make_objective, training_config):
    """Drawing six of six pairs changes the shape of the pairs, and no number of the losses."""
    six = dataclasses.replace(BATCH, pairs=PairsConfig(per_clip=6))
    objective = make_objective(formulation)
    for stage in training_config.stages:
        objective.prepare(stage)
        losses = [
            objective.losses(stage, load(batch).step(0), 0)["loss"]
            for batch in (six, everything(BATCH))
        ]
        torch.testing.assert_close(losses[0], losses[1], rtol=1e-6, atol=0)


def test_too_few_pairs_are_named_before_training(load):
    with pytest.raises(ConfigError, match=r"per_clip=7.*6 pairs"):
        load(dataclasses.replace(BATCH, pairs=PairsConfig(per_clip=7)))


def test_different_pairs_in_one_batch_need_a_number_per_clip(load):
    """Formerly the pairs of the labelled clips were taken for all."""
    loader = load(everything(BATCH))
    pool = loader.pools["unlabelled"]
    for store in pool.stores[:1]:
        store._pairs = store._pairs.flip(0)
    loader.pools = {**loader.pools, "unlabelled": Pool(pool.stores[:1], [np.arange(6)])}
    loader.pools["labelled"] = Pool.whole([loader.pools["source"].stores[0]])
    loader.plan = BatchPlan(loader.plan.config, 0, {n: len(p) for n, p in loader.pools.items()})
    with pytest.raises(DataError, match=r"batch\.pairs\.per_clip"):
        loader.step(0)
