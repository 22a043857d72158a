"""Pretraining: the matching loss against a slow reference, and what each stage trains."""

import math

import pytest
import torch
import torch.nn.functional as F

from flow3r.data.clip import LabelledClips, PairFlow
from flow3r.training.pretrain import matching_loss


def clips(target_px, covisibility, height=16, width=24):
    batch, frames = 1, 2
    return LabelledClips(
        images=torch.zeros(batch, frames, 3, height, width),
        depth=torch.ones(batch, frames, height, width),
        intrinsics=torch.eye(3).expand(batch, frames, 3, 3),
        world_from_camera=torch.eye(4).expand(batch, frames, 4, 4),
        flow=PairFlow(torch.tensor([[0, 1]]), target_px, covisibility),
    )


def test_against_a_slow_reference():
    patch, temperature = 8, 0.1
    features = F.normalize(torch.randn(1, 2, 6, 5), dim=-1)
    target = torch.rand(1, 1, 16, 24, 2) * torch.tensor([23.0, 15.0])
    seen = (torch.rand(1, 1, 16, 24) > 0.4).float()
    loss, accuracy = matching_loss(features, clips(target, seen), patch, temperature)
    terms, hits = [], []
    for row in range(2):
        for column in range(3):
            y, x = row * 8 + 4, column * 8 + 4
            if seen[0, 0, y, x] <= 0.5:
                continue
            u, v = target[0, 0, y, x].tolist()
            label = math.floor((v + 0.5) / 8) * 3 + math.floor((u + 0.5) / 8)
            scores = features[0, 1] @ features[0, 0, row * 3 + column] / temperature
            terms.append(torch.logsumexp(scores, 0) - scores[label])
            hits.append(float(scores.argmax() == label))
    assert loss == pytest.approx(float(torch.stack(terms).mean()), rel=1e-5)
    assert accuracy == pytest.approx(sum(hits) / len(hits))


def test_no_covisible_patch_gives_zero_not_nan():
    features = F.normalize(torch.randn(1, 2, 6, 5), dim=-1).requires_grad_()
    loss, _ = matching_loss(
        features, clips(torch.zeros(1, 1, 16, 24, 2), torch.zeros(1, 1, 16, 24)), 8, 0.1
    )
    loss.backward()
    assert loss == 0
    assert torch.equal(features.grad, torch.zeros_like(features))
