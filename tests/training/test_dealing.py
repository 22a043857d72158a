"""Dealing a batch to several processes: every clip once, evenly, and the same clip everywhere."""

import itertools

import numpy as np
import pytest
import torch

from flow3r.data.clip import LabelledClips
from flow3r.data.mixing import BatchConfig, BatchPlan, Share
from flow3r.errors import ConfigError
from flow3r.training.batches import StepBatch, split

SIZES = {"source": 11, "labelled": 7, "unlabelled": 20}
BATCHES = [
    BatchConfig(replay=2, labelled=3, flexible=5, filler_replay_share=0.4),
    BatchConfig(replay=0, labelled=1, flexible=4),
    BatchConfig(replay=4, labelled=2, flexible=6, accumulate=2),
    BatchConfig(replay=3, labelled=0, flexible=0),
]


def plans(config: BatchConfig, processes: int, unlabelled: bool = True) -> list[BatchPlan]:
    sizes = SIZES if unlabelled else {**SIZES, "unlabelled": 0}
    return [BatchPlan(config, 0, sizes, Share(rank, processes)) for rank in range(processes)]


@pytest.mark.parametrize("config", BATCHES)
@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize("unlabelled", [True, False])
def test_every_clip_goes_to_exactly_one_process(config, processes, unlabelled):
    if processes > config.clips // config.accumulate:
        pytest.skip("more processes than clips")
    [whole] = plans(config, 1, unlabelled)
    shares = plans(config, processes, unlabelled)
    for step in (0, 3, 10):
        for parts in zip(whole.step(step), *(plan.step(step) for plan in shares), strict=True):
            first, *dealt = parts
            places = np.concatenate([part.places for part in dealt])
            positions = np.concatenate([part.positions for part in dealt])
            assert sorted(places) == list(range(first.size))
            assert np.array_equal(positions[np.argsort(places)], first.positions)
            assert {part.name for part in dealt} == {first.name}


@pytest.mark.parametrize("config", BATCHES)
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_differ_by_at_most_one_clip(config, processes):
    counts = []
    for plan in plans(config, processes):
        parts = plan.step(0)
        labelled = sum(len(p.places) for p in parts if p.pool != "unlabelled")
        counts.append((labelled, sum(len(p.places) for p in parts)))
        assert counts[-1][1] > 0
        assert all(count % config.accumulate == 0 for count in counts[-1])
    for of_process in zip(*counts, strict=True):
        assert max(of_process) - min(of_process) <= config.accumulate


def clips_of(batch: StepBatch) -> list[bytes]:
    """Images and depth of every clip, as something that can be compared."""
    found = [i.numpy().tobytes() + d.numpy().tobytes() for i, d in _labelled(batch.labelled)]
    if batch.unlabelled is not None:
        found += [image.numpy().tobytes() for image in batch.unlabelled.images]
    return found


def _labelled(clips: LabelledClips) -> itertools.chain:
    return zip(clips.images, clips.depth, strict=True)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("unlabelled", [True, False])
@pytest.mark.parametrize("processes", [2, 3])
def test_every_backward_pass_sees_the_same_clips_however_many_processes(
    accumulate, unlabelled, processes, make_loader
):
    """The augmented images too: their draws do not depend on how clips are dealt."""
    whole = make_loader(unlabelled=unlabelled, accumulate=accumulate)
    shares = [
        make_loader(unlabelled=unlabelled, accumulate=accumulate, share=Share(rank, processes))
        for rank in range(processes)
    ]
    for step in range(3):
        expected = split(whole.step(step), accumulate)
        dealt = [split(loader.step(step), accumulate) for loader in shares]
        for number, together in enumerate(expected):
            found = [clip for parts in dealt for clip in clips_of(parts[number])]
            assert sorted(found) == sorted(clips_of(together))


def test_a_process_without_labelled_clips_has_an_empty_batch_of_them(make_loader):
    loader = make_loader(batch=BatchConfig(0, 1, 1), share=Share(1, 2))
    batch = loader.step(0)
    assert len(batch.labelled.images) == len(batch.labelled.flow.target_px) == 0
    assert batch.clips == len(batch.unlabelled.images) == 1
    assert torch.equal(batch.labelled.flow.pairs, batch.unlabelled.flow.pairs)


def test_more_processes_than_clips_are_refused():
    config = BatchConfig(replay=2, labelled=2, flexible=2, accumulate=2)
    with pytest.raises(ConfigError, match=r"3 clips of a backward pass.*4 processes.*at most 3"):
        BatchPlan(config, 0, SIZES, Share(0, 4))
