"""A training step never looks at a value: on a GPU the host would wait until it has caught up.

The step runs here on the CPU under a guard that refuses every operation which needs a value on the
host, or copies one from there by way of a Python number.
"""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from flow3r.formulations import assembled
from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig, formulation_names
from flow3r.losses.total import LossConfig
from flow3r.model.config import PRESETS
from flow3r.training.loop import Trainer
from flow3r.training.schedule import build_optimiser
from flow3r.training.supervision import RunObjective

READING = {
    "_local_scalar_dense",  # item, tolist, bool, float, int
    "is_nonzero",
    "equal",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
}
COPYING = {
    Tensor.cpu,
    Tensor.numpy,
    Tensor.tolist,
    Tensor.item,
    Tensor.new_tensor,
    torch.tensor,
    torch.as_tensor,
    torch.from_numpy,
}


class WaitsError(AssertionError):
    """An operation that would make the host wait."""


class NoReading(TorchDispatchMode):
    """Refuses operators whose result depends on values; also in the backward pass."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket._qualified_op_name.removeprefix("aten::") in READING:
            raise WaitsError(str(func))
        if func.overloadpacket in (torch.ops.aten.index, torch.ops.aten.index_put_):
            masks = [i for i in args[1] if i is not None and i.dtype in (torch.bool, torch.uint8)]
            if masks:
                raise WaitsError(f"{func} with a mask")
        return func(*args, **(kwargs or {}))


class NoCopying(TorchFunctionMode):
    """Refuses what moves values between host and device."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in COPYING:
            raise WaitsError(func.__name__)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def fused(monkeypatch):
    """The optimiser as on a GPU: the other kind reads its step count, which lies on the host."""
    make = torch.optim.AdamW
    monkeypatch.setattr(torch.optim, "AdamW", lambda *a, **k: make(*a, **{**k, "fused": True}))
    # Pairs are looked at where that is free, on the CPU only.
    monkeypatch.setattr(assembled, "check_pairs", lambda *a: None)


def _backward(x: Tensor, change: Callable[[Tensor], Tensor]) -> None:
    y = 2 * x.requires_grad_()
    y.register_hook(change)
    y.sum().backward()


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: (x > 0).nonzero(),
        lambda x: x.cpu(),
        lambda x: x.new_tensor([1.0]),
        lambda x: x.masked_select(x > 0),
        lambda x: _backward(x, lambda gradient: gradient * gradient.max().item()),
    ],
)
def test_the_guard_notices(wait):
    with pytest.raises(WaitsError), NoReading(), NoCopying():
        wait(torch.ones(3))


@pytest.mark.parametrize("formulation", formulation_names())
@pytest.mark.parametrize(("backbone", "accumulate"), [("pi3", 1), ("pi3", 2), ("vggt", 1)])
def test_no_step_waits(
    formulation, backbone, accumulate, model_config, make_loader, make_hooks, training_config, fused
):
    sizes = model_config if backbone == "pi3" else PRESETS["vggt-smoke"]()
    everything = LossConfig(translation_direction_weight=0.5, scale_samples=64)
    model = build_model(sizes, FormulationConfig(formulation), 0)
    objective = RunObjective(model, everything, "float32")
    loader = make_loader(unlabelled=formulation != "3d-sup", accumulate=accumulate)
    loaded = SimpleNamespace(step=[loader.step(s) for s in range(2)].__getitem__, plan=loader.plan)
    trainer = Trainer(objective, loaded, training_config, make_hooks()[0])
    for stage in training_config.stages:
        if not trainer.model.prepare(stage):
            continue
        optimiser = build_optimiser(trainer.model.module, training_config.optimiser)
        for step in range(2):
            with NoReading(), NoCopying():
                terms = trainer._optimise(optimiser, stage, step)
        assert all(value.isfinite() for value in terms.values())
