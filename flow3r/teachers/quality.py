"""How good a teacher's labels are: against the truth, and against themselves.

End-point errors count pixels that are truly covisible (`all`, `static`, `moving`); `kept` counts
those of them that the teacher also keeps, which is what training sees, and `edges` those next to an
edge of the true motion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from flow3r.geometry.camera import pixel_grid
from flow3r.teachers.base import FlowLabels
from flow3r.teachers.motion_edges import near_edges

REGIONS = ("all", "static", "moving", "kept", "edges")
QUANTILES = (50, 75, 90, 95, 99)
LAG = 4
"""Distance, in pixels along a row, over which the error's correlation is measured."""
KEPT = 0.5
"""A teacher keeps a pixel whose covisibility is above this."""


@dataclass
class Quality:
    """Errors gathered over the pairs of many clips."""

    errors: dict[str, list[Tensor]] = field(default_factory=lambda: {r: [] for r in REGIONS})
    lengths: list[Tensor] = field(default_factory=list)
    cycles: list[Tensor] = field(default_factory=list)
    products: list[Tensor] = field(default_factory=list)
    counts: Tensor = field(default_factory=lambda: torch.zeros(2, 4, dtype=torch.float64))
    """[all and moving, (pixels, covisible, kept, kept and covisible)]."""

    def add(
        self, labels: FlowLabels, target_px: Tensor, covisibility: Tensor, moving: Tensor
    ) -> None:
        """Labels of P pairs against the truth: [P, H, W, 2], [P, H, W], moving pixels [P, H, W]."""
        seen, kept = covisibility > KEPT, labels.covisibility > KEPT
        error = (labels.target_px - target_px).norm(dim=-1)
        edges = seen & near_edges(target_px, covisibility)
        masks = (seen, seen & ~moving, seen & moving, seen & kept, edges)
        for region, where in zip(REGIONS, masks):
            self.errors[region].append(error[where])
        self.products.append(lag_products(labels.target_px - target_px, seen))
        height, width = error.shape[-2:]
        flow = target_px - pixel_grid(height, width, target_px.device, target_px.dtype)
        self.lengths.append(flow.norm(dim=-1)[seen])
        for row, where in enumerate((torch.ones_like(moving), moving)):
            marks = (where, where & seen, where & kept, where & seen & kept)
            self.counts[row] += torch.stack([m.double().sum() for m in marks])

    def add_cycle(self, forward: FlowLabels, backward: FlowLabels) -> None:
        """Labels of P pairs and of the same pairs turned round; no truth is needed."""
        self.cycles.append(cycle_error(forward, backward))

    def summary(self) -> dict[str, float | None]:
        """Plain numbers; shares in percent, lengths in pixels; None where nothing was counted."""
        found: dict[str, float | None] = {}
        for region in REGIONS:
            error = _joined(self.errors[region])
            found[f"epe/{region}"] = _mean(error)
            for limit in (1, 3):
                found[f"under_{limit}px/{region}"] = _percent((error < limit).float())
        for row, region in enumerate(("all", "moving")):
            pixels, seen, kept, both = self.counts[row].tolist()
            found[f"covisibility_precision/{region}"] = 100 * both / kept if kept else None
            found[f"covisibility_recall/{region}"] = 100 * both / seen if seen else None
            found[f"covisible_share/{region}"] = 100 * seen / pixels if pixels else None
        for quantile in QUANTILES:
            error = _joined(self.errors["all"])
            place = round(quantile / 100 * (len(error) - 1)) + 1
            found[f"error_p{quantile}"] = float(error.kthvalue(place)[0]) if len(error) else None
        if self.products:
            across, own = torch.stack(self.products).sum(0).tolist()
            found[f"error_correlation_{LAG}px"] = across / own if own else None
        found["true_flow_mean_px"] = _mean(_joined(self.lengths))
        return found | cycle_summary(self.cycles)


def cycle_summary(cycles: list[Tensor]) -> dict[str, float | None]:
    """Mean and median distance from the start after going there and back, and its share < 1 px."""
    error = _joined(cycles)
    return {
        "cycle_mean_px": _mean(error),
        "cycle_median_px": float(error.median()) if len(error) else None,
        "cycle_under_1px": _percent((error < 1).float()),
    }


def cycle_error(forward: FlowLabels, backward: FlowLabels) -> Tensor:
    """Pixels from the start after going there and back, of the kept pixels of P pairs [M]."""
    height, width = forward.covisibility.shape[-2:]
    target = forward.target_px
    span = target.new_tensor([width, height])
    returned = F.grid_sample(
        backward.target_px.permute(0, 3, 1, 2),
        (2 * target + 1) / span - 1,
        padding_mode="border",
        align_corners=False,
    ).permute(0, 2, 3, 1)
    error = (returned - pixel_grid(height, width, target.device, target.dtype)).norm(dim=-1)
    return error[forward.covisibility > KEPT]


def lag_products(error: Tensor, seen: Tensor) -> Tensor:
    """(sum of e(x) . e(x + LAG) / |e(x)| |e(x + LAG)|, number), covisible pixels of [P, H, W, 2].

    Directions only: the lengths are so unequal that a few pixels would decide.
    """
    direction = F.normalize(error, dim=-1).double()
    both = seen[:, :, LAG:] & seen[:, :, :-LAG]
    along = (direction[:, :, LAG:] * direction[:, :, :-LAG]).sum(-1)
    return torch.stack([along[both].sum(), both.double().sum()])


def round_numbers(values: Mapping[str, float | None], digits: int = 4) -> dict[str, float | None]:
    """For printing."""
    return {k: None if v is None else round(v, digits) for k, v in values.items()}


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts) if parts else torch.zeros(0)


def _mean(values: Tensor) -> float | None:
    return float(values.double().mean()) if len(values) else None


def _percent(values: Tensor) -> float | None:
    mean = _mean(values)
    return None if mean is None else 100 * mean
