"""What share of a device's best a program reaches."""

from __future__ import annotations

from typing import Any

import torch

from experiments.benchmarks.measure import rounded, timed
from experiments.benchmarks.settings import Settings

DATASHEET = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40": 181e12, "RTX 4090": 165e12}
"""Dense bf16 operations per second of the tensor cores (float32 accumulation), by the vendor."""
SIDE = 2048


def peak_flops(settings: Settings, precision: str) -> tuple[float, str]:
    """Operations per second that count as full use, and where the number is from."""
    device = torch.device(settings.device)
    if device.type == "cuda" and precision == "bfloat16":
        name = torch.cuda.get_device_name(device)
        for part, peak in DATASHEET.items():
            if part in name:
                return peak, "datasheet"
    a = torch.randn(SIDE, SIDE, device=device, dtype=getattr(torch, precision))
    timed(lambda: a @ a, device)
    best = min(timed(lambda: a @ a, device).seconds for _ in range(5))
    return 2 * SIDE**3 / best, f"a {SIDE} x {SIDE} matrix product, measured"


def utilisation(flops: int, seconds: float, settings: Settings, precision: str) -> dict[str, Any]:
    """The record's fields on floating-point operations; MFU = achieved / peak."""
    peak, source = peak_flops(settings, precision)
    return {
        "flops": flops,
        "flops_per_second": rounded(flops / seconds),
        "mfu": rounded(flops / seconds / peak),
        "peak_flops": rounded(peak),
        "peak_flops_from": source,
    }
