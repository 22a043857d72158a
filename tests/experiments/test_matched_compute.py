"""The compute-matched arm of `sweep=scaling` does as many operations as the flow arms."""

import pytest
import torch

from experiments.compose import compose_run, load_sweep
from experiments.spec import RunSpec, parse_spec
from flow3r.data.clip import LabelledClips, PairFlow, UnlabelledClips
from flow3r.data.pairs import ordered_pairs
from flow3r.formulations.assembled import build_model
from flow3r.training.batches import StepBatch
from flow3r.training.flops import training_flops
from flow3r.training.supervision import RunObjective


@pytest.mark.parametrize(
    "profile", ["smoke", "laptop", pytest.param("gpu", marks=pytest.mark.slow)]
)
def test_operations_agree_to_a_step(profile):
    sweep = load_sweep("scaling", profile)
    matched, flow = (
        _spec(profile, sweep["arms"][name]["overrides"])
        for name in ("3d-sup-compute", sweep["headline"]["arm"])
    )
    steps = matched.training.total_steps - matched.training.stages[0].steps
    assert _flops(matched) == pytest.approx(_flops(flow), rel=1 / steps)


def _spec(profile: str, overrides: list[str]) -> RunSpec:
    return parse_spec(compose_run([f"profile={profile}", *overrides]))


def _flops(spec: RunSpec) -> int:
    objective = RunObjective(
        build_model(spec.model, spec.formulation, spec.seed), spec.loss, "float32"
    )
    return training_flops(objective, _batch(spec), spec.batch, spec.training)


def _batch(spec: RunSpec) -> StepBatch:
    world = spec.data.labelled.world
    frames, height, width = world.frames, world.height, world.width
    pairs = ordered_pairs(frames)
    flow = PairFlow(
        pairs,
        torch.rand(1, len(pairs), height, width, 2) * height,
        torch.ones(1, len(pairs), height, width),
    )
    images = torch.rand(1, frames, 3, height, width)
    intrinsics = torch.tensor([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
    poses = torch.eye(4).repeat(1, frames, 1, 1)
    poses[..., 0, 3] = torch.arange(frames)
    depth = torch.rand(1, frames, height, width) + 1
    labelled = LabelledClips(images, depth, intrinsics.repeat(1, frames, 1, 1), poses, flow)
    unlabelled = UnlabelledClips(images, flow) if spec.data.unlabelled_clips else None
    return StepBatch(labelled, unlabelled)
