"""The loop: exact resume, stages, the same run twice, non-finite losses."""

import dataclasses

import pytest
import torch

from flow3r.errors import NonFiniteLossError
from flow3r.training import checkpoint
from flow3r.training.loop import Trainer


def run(objective, loader, config, hooks, state=None):
    return Trainer(objective, loader, config, hooks).fit(state)


def weights(objective):
    return {k: v.clone() for k, v in objective.module.state_dict().items()}


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@pytest.mark.parametrize("stop_after", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("formulation", ["flow-factored", "3d-sup"])
def test_stopped_at_any_step_and_continued_equals_undisturbed(
    formulation, stop_after, make_objective, make_loader, make_hooks, training_config, tmp_path
):
    reference = make_objective(formulation)
    hooks, expected, _ = make_hooks()
    assert run(reference, make_loader(), training_config, hooks)

    first = make_objective(formulation)
    hooks, before, saved = make_hooks(stop_after=stop_after)
    complete = run(first, make_loader(), training_config, hooks)
    path = tmp_path / "last.pt"
    checkpoint.save(saved[-1], path)
    torch.manual_seed(99)  # the continued run must not depend on the state of this process

    second = make_objective(formulation, seed=7)  # other initial weights: all come from the file
    hooks, after, _ = make_hooks()
    assert run(second, make_loader(), training_config, hooks, checkpoint.load(path))
    assert_equal(weights(second), weights(reference))
    assert {**before, **after} == expected
    skipped_head = formulation == "3d-sup" and stop_after <= 2
    assert complete == skipped_head


def test_the_same_seed_twice_is_the_same_run(
    make_objective, make_loader, make_hooks, training_config
):
    results = []
    for _ in range(2):
        objective = make_objective()
        hooks, logged, _ = make_hooks()
        run(objective, make_loader(), training_config, hooks)
        results.append((weights(objective), logged))
    assert_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


def test_the_head_stage_leaves_backbone_and_geometry_heads_alone(
    make_objective, make_loader, make_hooks, training_config
):
    objective = make_objective()
    before = weights(objective)
    hooks, _, _ = make_hooks(stop_after=2)
    run(objective, make_loader(), training_config, hooks)
    after = weights(objective)
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed
    assert all(name.startswith("formulation.") for name in changed)


def test_a_checkpoint_in_the_middle_changes_nothing(
    make_objective, make_loader, make_hooks, training_config
):
    plain, saving = make_objective(), make_objective()
    run(plain, make_loader(), training_config, make_hooks()[0])
    hooks, _, saved = make_hooks(save_every=1)
    run(saving, make_loader(), training_config, hooks)
    assert_equal(weights(plain), weights(saving))
    assert len(saved) == training_config.total_steps + 1


def test_accumulated_gradients_equal_the_whole_batch(make_objective, make_loader, training_config):
    """The losses are means over clips, so halves of a batch average to the whole where every clip
    has the same weight; the flow loss weighs by covisible pixels, so only 3d-sup is compared."""
    gradients = []
    for accumulate in (1, 2):
        objective = make_objective("3d-sup")
        stage = training_config.stages[1]
        objective.prepare(stage)
        batches = make_loader(accumulate=accumulate).step(0)
        from flow3r.training.batches import split

        for part in split(batches, accumulate):
            (objective.losses(stage, part, 0)["loss"] / accumulate).backward()
        parameters = objective.module.model.camera_head.parameters()
        gradients.append(torch.cat([p.grad.flatten() for p in parameters]))
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-6)


def test_a_nan_stops_training_before_it_reaches_a_checkpoint(
    make_objective, make_loader, make_hooks, training_config
):
    objective = make_objective()
    healthy = objective.losses

    def poisoned(stage, batch, step):
        terms = healthy(stage, batch, step)
        return {**terms, "loss": terms["loss"] * float("nan")} if step == 3 else terms

    objective.losses = poisoned
    hooks, _, saved = make_hooks(save_every=1)
    with pytest.raises(NonFiniteLossError, match=r"stage 'joint'.*step 4"):
        run(objective, make_loader(), training_config, hooks)
    assert [s.step for s in saved] == [1, 2, 3]
    for state in saved:
        assert all(v.isfinite().all() for v in state.model.values())


def test_a_nan_is_named_before_validation_meets_it(
    make_objective, make_loader, make_hooks, training_config
):
    """Validation of a diverged model would fail with a message about its predictions."""
    objective = make_objective()
    healthy = objective.losses
    objective.losses = lambda *a: {k: v * float("inf") for k, v in healthy(*a).items()}
    hooks, _, _ = make_hooks()
    rare_logs = dataclasses.replace(hooks, log_every=100, validate=lambda *a: pytest.fail("late"))
    with pytest.raises(NonFiniteLossError, match="non-finite"):
        run(objective, make_loader(), training_config, rare_logs)
