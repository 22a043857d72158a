"""Counted operations against products counted by hand, and their proportion to the clips."""

import torch
from torch.nn.functional import scaled_dot_product_attention

from flow3r.data.mixing import BatchConfig
from flow3r.training.flops import count_flops, training_flops


def test_products_and_attention_are_counted():
    q = torch.randn(1, 2, 16, 8)
    product = 2 * 16 * 16 * 8
    assert count_flops(lambda: q[0, 0] @ q[0, 0].T) == product
    with torch.inference_mode():
        assert count_flops(lambda: scaled_dot_product_attention(q, q, q)) == 2 * 2 * product


def test_the_backward_pass_of_a_product_costs_two_products():
    x, w = torch.randn(4, 8, requires_grad=True), torch.randn(8, 8, requires_grad=True)
    assert count_flops(lambda: (x @ w).sum().backward()) == 3 * 2 * 4 * 8 * 8


def test_the_backward_pass_of_attention_costs_two_and_a_half_forward_passes():
    q = torch.randn(1, 2, 16, 8, requires_grad=True)
    forward = 2 * 2 * 2 * 16 * 16 * 8
    counted = count_flops(lambda: scaled_dot_product_attention(q, q, q).sum().backward())
    assert counted == forward + forward * 5 // 2


def test_a_small_batch_tells_the_operations_of_the_whole_run(
    make_objective, make_loader, training_config
):
    batch = BatchConfig(2, 4, 6)
    small = make_loader(batch=BatchConfig(0, 1, 1)).step(0)
    counted = training_flops(make_objective(), small, batch, training_config)
    assert counted == _whole_steps(make_objective(), make_loader(batch=batch), training_config)


def test_without_unlabelled_clips_all_places_count_as_labelled(
    make_objective, make_loader, training_config
):
    batch = BatchConfig(2, 4, 6)
    small = make_loader(batch=BatchConfig(0, 1, 1), unlabelled=False).step(0)
    counted = training_flops(make_objective(), small, batch, training_config)
    whole = make_loader(batch=batch, unlabelled=False)
    assert counted == _whole_steps(make_objective(), whole, training_config)


def test_counting_leaves_weights_gradients_and_random_numbers_alone(
    make_objective, make_loader, training_config
):
    objective = make_objective()
    before = {name: p.clone() for name, p in objective.module.named_parameters()}
    state = torch.random.get_rng_state()
    training_flops(
        objective,
        make_loader(batch=BatchConfig(0, 1, 1)).step(0),
        BatchConfig(2, 2, 2),
        training_config,
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, parameter in objective.module.named_parameters():
        assert parameter.grad is None
        assert torch.equal(parameter, before[name])


def _whole_steps(objective, loader, config) -> int:
    total = 0
    for stage in config.stages:
        objective.prepare(stage)
        step = loader.step(0)
        total += stage.steps * count_flops(
            lambda stage=stage, step=step: objective.losses(stage, step, 0)["loss"].backward()
        )
        objective.module.zero_grad(set_to_none=True)
    return total
