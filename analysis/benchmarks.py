"""Rebuild the benchmark table of evaluated models beside the published one.

usage: python analysis/benchmarks.py [output_dir=outputs] [to=FOLDER]

Reads   <output_dir>/reports/benchmarks/plan.json and <output_dir>/evaluations/*
Writes  <output_dir>/reports/benchmarks/{report.html, report.md, results.json, tables/}
        (into FOLDER where one is given). tables/ has each half as Markdown, LaTeX and CSV;
        results.json has every score of every scene.
Works while the evaluations run: what is not there yet is left empty.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Python puts this file's folder first, where statistics.py would hide the standard module.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if {"-h", "--help"} & set(sys.argv[1:]):  # answered before the imports that take seconds
        print(__doc__.strip())
        sys.exit(0)

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.arguments import parse_arguments
from analysis.benchmark_records import SWEEP, BenchmarkRecords, Evaluation, load_benchmarks
from analysis.benchmark_tables import halves
from analysis.document import Document, Section, TableBlock, Text, Written, alone, write_document
from analysis.document.blocks import Bullets
from analysis.markup import Table, to_text, write_tables
from flow3r.errors import ConfigError, DataError
from flow3r.files import write_json

SETTINGS = {"output_dir": "outputs", "to": ""}


def write_benchmarks(output_dir: Path, folder: Path | None = None) -> Written:
    """Write tables, report and results. DataError without a plan."""
    folder = folder or output_dir / "reports" / SWEEP
    with alone(folder):
        return _write_benchmarks(load_benchmarks(output_dir), folder)


def _write_benchmarks(records: BenchmarkRecords, folder: Path) -> Written:
    shown = halves(records)
    for name, (table, data) in shown.items():
        write_tables(table, data, folder / "tables" / name)
    write_json(folder / "results.json", results(records))
    page = document(records, [table for table, _ in shown.values()])
    text = "\n".join(to_text(table) for table, _ in shown.values())
    return Written(text, write_document(page, folder))


def document(records: BenchmarkRecords, shown: Sequence[Table]) -> Document:
    """The table, then what was not run, how each number was made, and where it is from."""
    done, planned = len(records.evaluations), len(records.evaluations) + len(records.missing)
    sections = [
        Section("Not run", (Bullets(_missing(records)),)) if records.missing else None,
        Section("How each benchmark is run", (Bullets(_protocols(records)),)),
        Section("What was evaluated", (Bullets(_sources(records)),)),
    ]
    return Document(
        title="Benchmarks",
        subtitle=f"{len(records.models)} models, {len(records.benchmarks)} benchmarks, "
        f"{done} of {planned} evaluations finished.",
        banner="",
        front=tuple(TableBlock(table) for table in shown) or (Text("No benchmark was asked for."),),
        sections=tuple(section for section in sections if section is not None),
    )


def results(records: BenchmarkRecords) -> dict[str, Any]:
    """results.json: everything, per scene."""
    return {
        "schema": 1,
        "models": list(records.models),
        "benchmarks": [dict(benchmark) for benchmark in records.benchmarks],
        "evaluations": [_result(found) for found in records.evaluations.values()],
        "missing": [
            {"model": model, "benchmark": benchmark, "reason": reason}
            for (model, benchmark), reason in records.missing.items()
        ],
    }


def _result(found: Evaluation) -> dict[str, Any]:
    return {
        "model": found.model,
        "benchmark": found.benchmark,
        "version": found.protocol.version,
        "changed": found.record["changed"],
        "fingerprint": found.record["fingerprint"],
        "source": found.record["source"],
        "precision": found.record["precision"],
        "scores": {
            name: {"mean": s.mean, "low": s.low, "high": s.high, "scenes": s.scenes}
            for name, s in found.scores.items()
        },
        "scenes": found.record["scenes"],
    }


def _missing(records: BenchmarkRecords) -> tuple[str, ...]:
    return tuple(f"{m} on {b}: {why}" for (m, b), why in records.missing.items())


def _protocols(records: BenchmarkRecords) -> tuple[str, ...]:
    texts = {}
    for found in records.evaluations.values():
        protocol = found.protocol
        changed = found.record["changed"]
        words = ", ".join(f"{key}={value}" for key, value in changed.items())
        note = f" Changed here: {words}; not comparable with other settings." if changed else ""
        texts[f"{found.benchmark}{words}"] = (
            f"{protocol.label}, version {protocol.version}: {protocol.source}{note}"
        )
    return tuple(texts.values()) or ("nothing was evaluated",)


def _sources(records: BenchmarkRecords) -> tuple[str, ...]:
    texts = {}
    for found in records.evaluations.values():
        source = found.record["source"]
        texts[found.model] = (
            f"{found.model}: {source['kind']} {source['path']}, content {source['content']}, "
            f"{found.record['precision']}"
        )
    return tuple(texts.values()) or ("nothing was evaluated",)


def main(arguments: Sequence[str]) -> int:
    """The command line; the exit code."""
    try:
        settings = parse_arguments(arguments, SETTINGS, "benchmarks.py")
        to = Path(settings["to"]) if settings["to"] else None
        written = write_benchmarks(Path(settings["output_dir"]), to)
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(written.text)
    print(f"Report: {written.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
