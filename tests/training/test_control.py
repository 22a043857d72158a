"""The guarantees of control: what arms share is equal bit for bit."""

import itertools

import pytest
import torch

from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig, formulation_names


@pytest.mark.parametrize("seed", [0, 3])
def test_backbone_and_geometry_heads_are_identical_across_formulations(seed, model_config):
    states = [
        build_model(model_config, FormulationConfig(name), seed).model.state_dict()
        for name in formulation_names()
    ]
    for first, second in itertools.pairwise(states):
        assert first.keys() == second.keys()
        assert all(torch.equal(first[k], second[k]) for k in first)


def test_labelled_batches_are_identical_across_arms(make_loader):
    """Images after augmentation included, in the same order, at every step."""
    with_unlabelled, without = make_loader(unlabelled=True), make_loader(unlabelled=False)
    for step in range(6):
        first, second = with_unlabelled.step(step), without.step(step)
        shared = len(first.labelled.images)
        assert torch.equal(first.labelled.images, second.labelled.images[:shared])
        assert torch.equal(first.labelled.depth, second.labelled.depth[:shared])
        assert first.clips == second.clips
        assert second.unlabelled is None


def test_unlabelled_batches_are_identical_across_flow_arms(make_loader):
    first, second = make_loader().step(4), make_loader().step(4)
    assert torch.equal(first.unlabelled.images, second.unlabelled.images)
    assert torch.equal(first.unlabelled.flow.target_px, second.unlabelled.flow.target_px)


def test_another_seed_is_another_order(make_loader):
    first, second = make_loader(seed=0).step(0), make_loader(seed=1).step(0)
    assert not torch.equal(first.images, second.images)
