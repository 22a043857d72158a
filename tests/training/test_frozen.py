"""What a stage freezes: no gradients, no graph, no activations kept."""

import pytest
import torch

from flow3r.training.config import StageConfig


def stage(trains):
    return StageConfig("stage", steps=1, lr=1e-3, warmup_steps=0, trains=trains)


def saved_inside(module, run):
    """Tensors that autograd keeps of a module's forward pass, its outputs, what `run` returns."""
    inside, counts, outputs = [False], [0], []

    def pack(tensor):
        counts[0] += inside[0]
        return tensor

    def enter(module, args):
        inside[0] = True

    def leave(module, args, output):
        inside[0] = False
        outputs.append(output)

    handles = [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()
    for handle in handles:
        handle.remove()
    return counts[0], outputs, result


def with_gradient(objective):
    return {n for n, p in objective.module.named_parameters() if p.grad is not None}


def test_a_frozen_encoder_has_no_graph_and_keeps_nothing(make_objective, make_loader):
    objective, batch = make_objective(), make_loader().step(0)
    encoder = objective.module.model.backbone.encoder

    def losses(trains):
        objective.prepare(stage(trains))
        return saved_inside(encoder, lambda: objective.losses(stage(trains), batch, 0))

    count, outputs, _ = losses("everything")
    assert count > 0
    assert outputs[0].requires_grad
    count, outputs, terms = losses("all-but-encoder")
    assert count == 0
    assert not outputs[0].requires_grad
    terms["loss"].backward()
    names = {n for n, _ in objective.module.named_parameters()}
    frozen = {n for n in names if n.startswith("model.backbone.encoder.")}
    assert frozen
    assert with_gradient(objective) == names - frozen


@pytest.mark.parametrize("formulation", ["flow-factored", "flow-tracking"])
def test_the_head_stage_runs_the_model_without_a_graph(make_objective, make_loader, formulation):
    objective, batch = make_objective(formulation), make_loader().step(0)
    objective.prepare(stage("flow-head"))
    count, outputs, terms = saved_inside(
        objective.module.model, lambda: objective.losses(stage("flow-head"), batch, 0)
    )
    [(latents, geometry)] = outputs
    assert count == 0
    assert not any(t.requires_grad for t in (*latents.geometry, *latents.camera, latents.patches))
    assert not geometry.local_points.requires_grad
    terms["loss"].backward()
    assert with_gradient(objective) == {
        n for n, _ in objective.module.named_parameters() if n.startswith("formulation.")
    }


def test_a_stage_can_be_left_again(make_objective):
    objective = make_objective()
    for trains in ("all-but-encoder", "flow-head", "everything"):
        objective.prepare(stage(trains))
    assert all(p.requires_grad for p in objective.module.parameters())
