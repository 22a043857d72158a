"""What people see of a sweep in MLflow's pages: views, colours, descriptions, links (no MLflow).

MLflow 3 opens on its pages for language models, and its list of runs shows no column that tells two
runs of a study apart. So the experiment brings two views along, and the links name one.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.tracking.charts import chart_state
from sweeps.tracking.headline import headline
from sweeps.tracking.run_tags import attempts

LOCAL_SERVER = "http://127.0.0.1:5000"  # where `mlflow ui` answers by default
_NOTE_LENGTH = 7500  # MLflow refuses tags of runs above 8000 characters
_REASON_LENGTH, _ATTEMPTS = 2000, 12
_COLUMN_TAGS = ("arm", "seed", "unlabelled_clips", "state", "failure", "reason", "attempts")
# Okabe and Ito's colours, which stay apart for colour-blind readers, and darker ones after them.
_COLOURS = (
    *("#4D4D4D", "#E69F00", "#0072B2", "#D55E00", "#CC79A7", "#009E73", "#56B4E9"),
    *("#882255", "#999933", "#332288", "#AA4499", "#117733", "#9A9A9A"),
)


def experiment_tags(plan: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a sweep's experiment, from its plan.json.

    `mlflow.sharedViewState.NAME` is a view that links call by name: the state of the page as JSON,
    where what is left out keeps its default.
    """
    average = {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": "arm"}],
    }
    common = {"selectedColumns": _columns(plan), "runsHiddenMode": "SHOW_ALL", **chart_state(plan)}
    views = {"runs": common, "arms": {**common, "groupBy": average}}
    tags = {f"mlflow.sharedViewState.{name}": json.dumps(view) for name, view in views.items()}
    return {**tags, "mlflow.experimentKind": "custom_model_development"}


def experiment_note(plan: Mapping[str, Any]) -> str:
    """Description of the experiment, in Markdown."""
    arms = ", ".join(arm["arm"] for arm in plan["arms"])
    study = study_name(plan["sweep"])
    return (
        f"**{plan['question']}**\n\nProfile {plan['profile']}; arms: {arms}; baseline: "
        f"{plan['baseline']}. One run per arm and seed; the run *{study}* has the answer, the "
        "tables and the figures of the report."
    )


def _columns(plan: Mapping[str, Any]) -> list[str]:
    metrics = [f"test/{benchmark}/{metric}" for benchmark, metric in headline(plan)]
    return [
        *(f"metrics.`{name}`" for name in (*metrics, "train/loss")),
        *(f"tags.`{name}`" for name in _COLUMN_TAGS),
    ]


def study_name(sweep: str) -> str:
    """Name of the run that shows the report."""
    return f"study: {sweep}"


def colours(plan: Mapping[str, Any]) -> dict[str, str]:
    """A colour for each arm, the same for all its seeds."""
    return {arm["arm"]: _COLOURS[i % len(_COLOURS)] for i, arm in enumerate(plan["arms"])}


def run_note(run: Mapping[str, Any], directory: Path, status: Mapping[str, Any]) -> str:
    """Description of a run: what it is, what befell it, and where its files are."""
    parts = [
        f"{run['formulation']}, seed {run['seed']}: {run['labelled_clips']} labelled and "
        f"{run['unlabelled_clips']} unlabelled clips (arm {', '.join(run['arms'])}).",
        f"Files: `{directory}`, the weights: `checkpoint/weights.pt`",
        f"Evaluate again: `python experiments/evaluate.py run={directory}`",
    ]
    if status.get("reason"):
        failure = status.get("failure") or status["state"]
        parts.insert(1, f"**{failure}**: {status['reason'][:_REASON_LENGTH]}")
    if before := attempts(status)[-_ATTEMPTS:]:
        parts.append("\n".join(["Earlier attempts:\n", *(f"- {line[:300]}" for line in before)]))
    return "\n\n".join(parts)


def study_note(report: Path) -> str:
    """Description of the study run: the answer and the tables, as far as MLflow's limit allows."""
    parts = [_opening(report / "report.md")]
    for path in _tables(report / "tables"):
        parts.append(f"### {path.stem.replace('-', ': ')}\n\n{path.read_text('utf-8').strip()}")
    ending = "The whole report: artifacts, report.html (one page) or report.md."
    note = parts[0][:_NOTE_LENGTH]
    for part in parts[1:]:
        if len(note) + len(part) + len(ending) + 4 > _NOTE_LENGTH:
            break
        note += f"\n\n{part}"
    return f"{note}\n\n{ending}"


def _opening(path: Path) -> str:
    """The questions and their answers: the report up to its first figure, list or section.

    The counts and the question, with which a report begins, come last: MLflow folds what is long
    and shows three lines, and the question is that of the experiment.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    paragraphs = []
    for paragraph in text.split("\n\n"):
        if paragraph.startswith(("- ", "## ", "![")):
            break
        if not paragraph.startswith("# "):
            paragraphs.append(paragraph.strip())
    if len(paragraphs) > 1 and paragraphs[1].startswith("**Question.**"):
        counts, question, *answers = paragraphs
        paragraphs = [*answers, question, counts]
    return "\n\n".join(paragraphs)


def _tables(folder: Path) -> list[Path]:
    """Scores and differences of each benchmark; dynamic first, as the headline asks about it."""
    names = [f"{b}{part}.md" for part in ("", "-differences") for b in ("dynamic", "static")]
    return [folder / name for name in names if (folder / name).exists()]


def study_metrics(
    plan: Mapping[str, Any], results: Mapping[str, Any]
) -> list[tuple[str, float, int]]:
    """(name, value, step) of the scaling curves; the step is the number of unlabelled clips.

    Nothing for other sweeps: their table is in the study run's description, and a bar per arm and
    metric would stand in front of every other chart.
    """
    if not plan["scaling"]:
        return []
    wanted, prefix = headline(plan), plan["scaling"]["arm_prefix"]
    clips = {arm["arm"]: arm["unlabelled_clips"] for arm in plan["arms"]}
    return [
        (f"study/{a['benchmark']} {a['metric']} over unlabelled clips", a["mean"], clips[a["arm"]])
        for a in results["arms"]
        if (a["benchmark"], a["metric"]) in wanted
        and a.get("mean") is not None
        and a["arm"].startswith(prefix)
    ]


def links(uri: str, experiment: str | None) -> list[str]:
    """How to look at the experiment, for the end of a sweep."""
    served = uri.startswith(("http://", "https://"))
    lines = [] if served else [f"MLflow: {_mlflow()} ui --backend-store-uri {uri}"]
    if experiment is None:
        return lines or [f"MLflow: {uri}"]
    page = f"{uri.rstrip('/') if served else LOCAL_SERVER}/#/experiments/{experiment}/runs"
    page += "?workflowType=machine_learning&viewStateShareKey="
    lead = "MLflow:" if served else "       "
    return [
        *lines,
        f"{lead} {page}runs (all runs)",
        f"        {page}arms&compareRunsMode=CHART (curves, averaged over seeds)",
    ]


def _mlflow() -> str:
    """The command, with its folder where the environment is not activated."""
    return "mlflow" if shutil.which("mlflow") else str(Path(sys.executable).with_name("mlflow"))
