"""What a sweep's question is about, as a plan.json says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def headline(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(benchmark, metric) of the sweep's question, its benchmark first."""
    asked = plan["headline"]
    benchmarks = dict.fromkeys([asked["benchmark"], "dynamic", "static"])
    return [(benchmark, metric) for benchmark in benchmarks for metric in asked["metrics"]]
