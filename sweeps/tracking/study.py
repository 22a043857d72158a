"""The study run of a sweep: the report's answer, tables, figures and curves in MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flow3r.files import read_json
from sweeps.tracking import pages
from sweeps.tracking.metrics_tail import Point
from sweeps.tracking.tracked_run import TrackedRun

STUDY = ("study", "true")
"""The tag by which it is found."""
_FILES = (".html", ".md", ".csv", ".tex", ".json", ".png", ".pdf")


def report_files(folder: Path) -> list[Path]:
    """What the study run holds of a report's folder; nothing before the report is written."""
    if not (folder / "results.json").exists():
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix in _FILES)


def report_moment(folder: Path) -> int:
    """When the report was written, in milliseconds."""
    return round((folder / "results.json").stat().st_mtime * 1000)


def fill_study(tracked: TrackedRun, plan: dict[str, Any], folder: Path) -> None:
    """Bring the study run up to date with the report; raises Contradiction, see `TrackedRun`."""
    tracked.read()
    content = read_json(folder / "results.json")
    moment = report_moment(folder)
    found = pages.study_metrics(plan, content)
    tracked.add_points([Point(name, value, step, moment) for name, value, step in found], True)
    tracked.upload(folder, report_files(folder))
    complete = str(bool(content.get("complete"))).lower()  # false: a look on the way
    key, value = STUDY
    tracked.describe(
        {key: value, "sweep": plan["sweep"], "complete": complete}, pages.study_note(folder)
    )
    tracked.set_state("FINISHED", moment)
