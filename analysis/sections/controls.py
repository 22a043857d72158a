"""Whether the arms differ in nothing but what they are meant to differ in: checked, not assumed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from analysis.document import Bullets, Section, TableBlock
from analysis.markup import Table
from analysis.plan import INITIALISATION
from analysis.records import Records, run_directory
from analysis.summary import scored_arms
from flow3r.files import read_json

SAME, DIFFERS, UNKNOWN = "same", "differs", "not recorded"


def controls_section(records: Records) -> Section:
    """What was compared, and a table of what the records show to be equal."""
    table = control_table(records)
    results = [row[1] for row in table.rows]
    odd, unknown = results.count(DIFFERS), results.count(UNKNOWN)
    hint = f"{odd} of {len(results)} checks differ" if odd else "no difference found"
    hint += f", {unknown} not recorded" if unknown else ""
    return Section(
        "What was compared, and is it fair?",
        (Bullets(tuple(_conditions(records))), TableBlock(table)),
        hint=hint,
    )


def control_table(records: Records) -> Table:
    """Check by check: equal in all runs that must be equal, different, or not recorded."""
    runs = records.runs[records.runs["finished"]].drop_duplicates("run_id")
    trained = runs[runs["arm"] != INITIALISATION]
    files = {run: _files(records, run) for run in runs["run_id"]}
    checks = [
        ("optimiser steps per run", _column(trained, "step")),
        ("clips per step", _column(trained, "clips_per_step")),
        ("initialisation (settings)", _spec_part(trained, files, "initialisation")),
        ("model and evaluation (settings)", _spec_part(trained, files, "model", "evaluation")),
        ("initial weights of backbone and geometry heads, per seed", _weights(runs, files)),
        ("labelled clips, where arms have as many", _data(trained, files, "labelled")),
        ("unlabelled clips, where arms have any", _data(trained, files, "unlabelled")),
        ("source clips", _data(trained, files, "source")),
        *((f"test scenes: {name}", _scenes(records, name)) for name in records.benchmarks()),
        ("code", _column(runs, "git_commit")),
        ("device", _column(runs, "device")),
        ("torch", _column(runs, "torch")),
    ]
    return Table(
        "Checks",
        ("what must be the same in every arm", "result", "found"),
        tuple((name, *found) for name, found in checks),
        frozenset((i, 1) for i, (_, (result, _)) in enumerate(checks) if result == DIFFERS),
        "From the run directories: settings, fingerprints of the data that was read, and a "
        "hash of the weights at step 0. The initialisation arm is not trained and is left out "
        "where steps matter.",
    )


def _files(records: Records, run: str) -> dict[str, Mapping[str, Any]]:
    directory = run_directory(records.output_dir, run)
    found = {}
    for name in ("spec", "provenance"):
        path = directory / f"{name}.json"
        found[name] = read_json(path) if path.is_file() else {}
    return found


def _verdict(values: Iterable[Any]) -> tuple[str, str]:
    """Result and what was found, of values that should all be equal."""
    known = sorted({str(value) for value in values if value is not None and value == value})
    if not known:
        return UNKNOWN, "–"
    shown = ", ".join(known[:4]) + (f" and {len(known) - 4} more" if len(known) > 4 else "")
    return (SAME if len(known) == 1 else DIFFERS), shown


def _column(runs: pd.DataFrame, name: str) -> tuple[str, str]:
    values = runs[name].dropna()
    whole = [int(v) if isinstance(v, float) and v == int(v) else v for v in values]
    return _verdict(str(v)[:7] if name == "git_commit" else v for v in whole)


def _spec_part(runs: pd.DataFrame, files: Mapping, *names: str) -> tuple[str, str]:
    """Compares parts of the specs; says how many kinds there are, their text would be too long."""
    specs = [files[run]["spec"].get("spec") for run in runs["run_id"]]
    texts = [json.dumps([s.get(n) for n in names], sort_keys=True) for s in specs if s]
    if not texts:
        return UNKNOWN, "–"
    kinds = len(set(texts))
    return (SAME, f"in {len(texts)} runs") if kinds == 1 else (DIFFERS, f"{kinds} kinds")


def _weights(runs: pd.DataFrame, files: Mapping) -> tuple[str, str]:
    """Per seed one hash: a seed may draw its own weights, an arm may not."""
    found: dict[int, set[str]] = {}
    for run, seed in zip(runs["run_id"], runs["seed"]):
        digest = files[run]["provenance"].get("initial_weights")
        if digest is not None:
            found.setdefault(int(seed), set()).add(digest)
    if not found:
        return UNKNOWN, "–"
    odd = [seed for seed, digests in found.items() if len(digests) > 1]
    if odd:
        return DIFFERS, f"seeds {', '.join(map(str, odd))}"
    return SAME, ", ".join(sorted({next(iter(digests)) for digests in found.values()}))


def _data(runs: pd.DataFrame, files: Mapping, kind: str) -> tuple[str, str]:
    """Fingerprints of one kind of training data, among runs that asked for the same amount."""
    groups: dict[tuple, set[str]] = {}
    for run, labelled in zip(runs["run_id"], runs["labelled_clips"]):
        prints = files[run]["provenance"].get("data_fingerprints") or {}
        amount = labelled if kind == "labelled" else None
        for name, value in prints.items():
            if name.rpartition("-")[0] == kind:
                groups.setdefault((name, amount), set()).add(value)
    if not groups:
        return UNKNOWN, "–"
    values = sorted({value for found in groups.values() for value in found})
    same = all(len(found) == 1 for found in groups.values())
    return (SAME if same else DIFFERS), ", ".join(values[:4])


def _scenes(records: Records, benchmark: str) -> tuple[str, str]:
    scenes = {
        (len(found.scenes), found.scenes[0])
        for arm in scored_arms(records)
        for name in records.metrics(benchmark)[:1]
        if (found := records.matrix(arm, benchmark, name)) is not None
    }
    counts = ", ".join(sorted({str(count) for count, _ in scenes}))
    return (SAME if len(scenes) == 1 else DIFFERS), f"{counts} scenes"


def _conditions(records: Records) -> list[str]:
    plan = records.plan
    trained = records.runs[records.runs["finished"] & (records.runs["arm"] != INITIALISATION)]
    seeds = ", ".join(str(seed) for seed in sorted(trained["seed"].unique()))
    return [
        f"Arms: {', '.join(scored_arms(records))}; baseline: {plan.baseline}.",
        f"Seeds: {seeds or 'none finished'}.",
        "Labels: the clips counted as labelled are those of the target domain. The shared "
        "initialisation, and the replayed clips where the recipe has them, use labelled clips of "
        "a separate source domain on top, the same in every arm.",
        _budget("optimiser steps", trained, "step"),
        _budget("clips per step", trained, "clips_per_step"),
    ]


def _budget(what: str, runs: pd.DataFrame, column: str) -> str:
    """Says that a budget is equal in every arm, or warns with the values."""
    known = runs.dropna(subset=[column])
    values = sorted({int(value) for value in known[column]})
    if not values:
        return f"{what.capitalize()}: not recorded."
    if len(values) == 1:
        return f"{what.capitalize()}: {values[0]} in every arm."
    per_arm = known.groupby("arm", sort=False)[column].unique()
    detail = "; ".join(
        f"{arm}: {', '.join(str(int(v)) for v in sorted(found))}" for arm, found in per_arm.items()
    )
    return f"**{what.capitalize()} differ between runs, so the budget is not equal**: {detail}."
