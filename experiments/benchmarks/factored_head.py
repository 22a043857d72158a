"""The factored flow head: the released concatenation against the split first layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks import problem
from experiments.benchmarks.measure import Variant, measure
from experiments.benchmarks.references import concatenating_fuse, concatenating_head
from experiments.benchmarks.settings import Settings
from flow3r.formulations.factored import FactoredConfig, FactoredHead


def records(settings: Settings) -> Iterator[dict[str, Any]]:
    """The fuse step over all levels, then the whole head."""
    config = problem.model_config(settings)
    width, levels = config.latents.width, config.latents.levels
    torch.manual_seed(0)
    head = FactoredHead(FactoredConfig(), width, levels).to(settings.device)
    side = settings.size // config.patch_size
    latents = [problem.tokens(settings, side**2, width) for _ in range(2 * levels)]
    camera, geometry = latents[:levels], latents[levels:]
    pairs = problem.pairs(settings)
    grid, image_size = (side, side), (settings.size, settings.size)

    def fuse(one_level: Callable[..., Tensor]) -> Callable[[], Tensor]:
        return lambda: torch.stack([one_level(c, g, pairs) for c, g in zip(camera, geometry)])

    programs = {
        "fuse": {
            "concatenated": fuse(lambda *a: concatenating_fuse(head, *a)),
            "split": fuse(head.fuse),
        },
        "head": {
            "concatenated": lambda: concatenating_head(
                head, camera, geometry, pairs, grid, image_size
            ),
            "split": lambda: head.maps(camera, geometry, pairs, grid, image_size),
        },
    }
    shape = {"width": width, "levels": levels, "tokens": side**2, "ordered_pairs": len(pairs)}
    for part, ways in programs.items():
        variants = [
            Variant(f"{part}-{name}", _with_gradients(run, head, settings.gradients))
            for name, run in ways.items()
        ]
        yield from measure("factored_head", variants, settings, shape)


def _with_gradients(run: Callable[[], Tensor], head: FactoredHead, wanted: bool) -> Callable:
    def forward() -> dict[str, Tensor]:
        with torch.inference_mode():
            return {"output": run()}

    def forward_and_backward() -> dict[str, Tensor]:
        head.zero_grad(set_to_none=True)
        output = run()
        output.square().mean().backward()
        gradients = {f"gradient of {n}": p.grad for n, p in head.mlp.named_parameters()}
        return {"output": output.detach(), **gradients}

    return forward_and_backward if wanted else forward
