"""Where the numbers come from: code, packages, machines, data, runs; how to make them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from analysis.document import Bullets, Section, TableBlock, Text
from analysis.markup import Table
from analysis.records import Records, run_directory
from flow3r.files import read_json


def provenance_section(records: Records) -> Section:
    """Facts of the finished runs, the list of all planned ones, and the commands."""
    finished = records.runs[records.runs["finished"]].drop_duplicates("run_id")
    files = [_provenance(records, run) for run in finished["run_id"]]
    return Section(
        "Provenance",
        (
            Bullets(tuple(_facts(records, finished, files))),
            Text(
                f"Rebuild this report: `python analysis/report.py sweep={records.plan.sweep}`. "
                "Every score by run and scene: `tables/scenes.csv`; every metric: "
                "`tables/all-scores.csv`, `tables/all-differences.csv`; for machines: "
                "`results.json`."
            ),
            TableBlock(_runs(records)),
        ),
    )


def _provenance(records: Records, run: str) -> Mapping[str, Any]:
    path = run_directory(records.output_dir, run) / "provenance.json"
    return read_json(path) if path.is_file() else {}


def _facts(records: Records, finished: pd.DataFrame, files: list[Mapping[str, Any]]) -> list[str]:
    packages = {
        f"{name} {version}"
        for found in files
        for name, version in (found.get("packages") or {}).items()
    }
    prints: dict[str, set[str]] = {}
    for found in files:
        for name, value in (found.get("data_fingerprints") or {}).items():
            prints.setdefault(name, set()).add(str(value))
    lines = [
        f"Plan made at commit: {listed([records.plan.git_commit])}.",
        f"Runs made at commit: {listed(finished['git_commit'])}.",
        f"Device: {listed(finished['device'])}; "
        f"platform: {listed(found.get('platform') for found in files)}.",
        f"Python: {listed(found.get('python') for found in files)}; packages: {listed(packages)}.",
        "Training data (fingerprints): "
        + ("; ".join(f"{n} {', '.join(sorted(v))}" for n, v in sorted(prints.items()))
           or "not recorded") + ".",
    ]  # fmt: skip
    if finished["git_dirty"].eq(True).any():
        lines.append("**Some runs were made with uncommitted changes in the working tree.**")
    return lines


def listed(values: Iterable[Any]) -> str:
    """The distinct known values in order, or `not recorded`."""
    known = sorted({str(v) for v in values if v is not None and v == v})
    return ", ".join(known) if known else "not recorded"


def _runs(records: Records) -> Table:
    """All planned runs with their ids, an arm a row; what is not finished is in brackets."""
    rows = []
    for arm, runs in records.runs.groupby("arm", sort=False):
        names = [
            f"{run.seed}: {run.run_id}" if run.finished else f"({run.seed}: {run.run_id})"
            for run in runs.sort_values("seed").itertuples()
        ]
        rows.append((str(arm), ", ".join(names)))
    return Table(
        "Runs",
        ("arm", "seed: run id"),
        tuple(rows),
        note="In brackets: not finished. A run id is a hash of everything that can change a "
        "number; the files are in `runs/<run id>/`.",
    )


def unfinished_section(records: Records) -> Section | None:
    """Which runs are missing and why; None for a finished sweep."""
    missing = records.runs[~records.runs["finished"]]
    if missing.empty:
        return None
    rows = []
    for run in missing.itertuples():
        state = "done, not evaluated" if run.state == "done" else run.state
        reason = "" if pd.isna(run.reason) else " ".join(str(run.reason).split())
        rows.append((run.arm, str(run.seed), run.run_id, state, reason))
    table = Table("", ("arm", "seed", "run", "state", "reason"), tuple(rows))
    return Section(
        "Unfinished runs",
        (
            Text(
                f"{len(missing)} of {len(records.runs)} planned runs have no result. Numbers of an "
                "unfinished sweep are a look on the way: a claim needs the planned runs."
            ),
            TableBlock(table, titled=False),
        ),
        folded=len(missing) > 8,
        hint=f"{len(missing)} of {len(records.runs)}",
    )
