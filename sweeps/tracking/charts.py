"""The charts that MLflow's pages of a sweep begin with; those that it makes itself follow.

Left alone it sorts them by name: dozens of scores stand before the one that was asked for, and
their titles are cut to the same beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweeps.tracking.headline import headline

_ANSWER, _TRAINING = "headline", "training"


def chart_state(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a page's state that names sections and charts."""
    asked = headline(plan)
    answers = [
        _bars(f"test/{benchmark}/{metric}", f"{benchmark}: {metric}") for benchmark, metric in asked
    ]
    benchmark = plan["headline"]["benchmark"]
    curves = [
        _curve(f"validation/{name}/{metric}", f"validation, {name}: {metric}")
        for name, metric in asked
        if name == benchmark
    ]
    return {
        "compareRunSections": [_section(_ANSWER, "The question"), _section(_TRAINING, "Training")],
        "compareRunCharts": [*answers, _curve("train/loss", "training loss"), *curves],
        "isAccordionReordered": True,  # else the sections are sorted by name
    }


def _section(uuid: str, name: str) -> dict[str, Any]:
    return {"uuid": uuid, "name": name, "display": True, "isReordered": True, "columns": 2}


def _bars(metric: str, title: str) -> dict[str, Any]:
    return {**_card(metric, title, _ANSWER), "type": "BAR", "runsCountToCompare": 100}


def _curve(metric: str, title: str) -> dict[str, Any]:
    """A chart of lines; MLflow has no defaults for what a view leaves out of a chart."""
    return {
        **_card(metric, title, _TRAINING),
        "type": "LINE",
        "runsCountToCompare": 100,
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _card(metric: str, title: str, section: str) -> dict[str, Any]:
    return {
        "uuid": metric,
        "metricKey": metric,
        "displayName": title,
        "metricSectionId": section,
        "isGenerated": False,
        "deleted": False,
    }
