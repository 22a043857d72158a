"""What a run says about where it comes from."""

import torch

from experiments.provenance import weights_digest


def test_a_digest_sees_every_bit_name_and_shape_and_nothing_else():
    weights = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(1.0), "n": torch.tensor(3)}
    same = weights_digest({name: weights[name].clone() for name in ("n", "b", "a")})
    assert weights_digest(weights) == same
    changed = [
        {**weights, "a": weights["a"] + 1e-7},
        {**weights, "a": weights["a"].view(3, 2)},
        {**weights, "b": weights["b"].half()},
        {"a": weights["a"], "c": weights["b"], "n": weights["n"]},
    ]
    assert len({same, *map(weights_digest, changed)}) == 5
