"""What may not be compared: mistaken identities, repeated seeds, mixed code and mixed data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from analysis.plan import Plan, PlannedRun
from analysis.scores import Cube, Scored
from flow3r.errors import DataError

NAMED = 4  # runs that a message names of each group
Facts = Mapping[str, Mapping[str, Any]]  # of the finished runs, by run id


def check_identities(plan: Plan, facts: Facts) -> None:
    """Refuse a run directory that holds another run than the plan expects there."""
    for run in plan.runs:
        if run.run_id not in facts:
            continue
        found = facts[run.run_id]
        for what, expected in (
            ("spec_id", run.run_id),
            ("evaluated_as", run.run_id),
            ("spec_seed", run.seed),
        ):
            if found.get(what) is not None and found[what] != expected:
                raise DataError(
                    f"run {run.run_id} ({run.arm}, seed {run.seed}): its files are those of "
                    f"{what}={found[what]!r}, not {expected!r}; was a run directory copied?"
                )


def check_repeats(plan: Plan, facts: Facts, cubes: Mapping[str, Cube]) -> None:
    """Refuse two seeds of an arm with the same score everywhere: one run cannot count twice.

    Untrained arms are equal by design, and scores that are equal in every scene say nothing.
    """
    seeds_of: dict[str, dict[str, int]] = {}
    for run in plan.runs:
        if facts.get(run.run_id, {}).get("total_steps") != 0:
            seeds_of.setdefault(run.arm, {})[run.run_id] = run.seed
    digests: dict[str, list[bytes]] = {}
    for cube in cubes.values():
        for run_id, values in zip(cube.runs, cube.values):
            digests.setdefault(run_id, []).append(_digest(values))
    for arm, seeds in seeds_of.items():
        met: dict[tuple[bytes, ...], str] = {}
        for run_id in (run_id for run_id in seeds if any(digests.get(run_id, ()))):
            first = met.setdefault(tuple(digests[run_id]), run_id)
            if first != run_id:
                raise DataError(
                    f"arm {arm!r}: seeds {seeds[first]} and {seeds[run_id]} (runs {first} and "
                    f"{run_id}) have the same score in every scene and metric; a copied run is "
                    "no repeat"
                )


def _digest(values: np.ndarray) -> bytes:
    """A hash of the scores of a run [K, M]; empty where no metric differs between scenes."""
    spread = np.ptp(np.nan_to_num(values), axis=0) if len(values) else np.zeros(1)
    return hashlib.blake2b(np.ascontiguousarray(values)).digest() if spread.any() else b""


def mixtures(plan: Plan, facts: Facts, scored: Mapping[str, Sequence[Scored]]) -> list[str]:
    """One sentence for everything that differs between runs though the arms do not ask for it."""
    names = _names(plan.runs)
    code = {run: (f["git_commit"], f["git_dirty"]) for run, f in facts.items()}
    found = [_mixed("code", {run: _version(*v) for run, v in code.items()}, names)]
    for asked in sorted(
        {(key, part[0]) for f in facts.values() for key, part in f["data"].items()}
    ):
        key, digest = asked
        prints = {
            run: f"fingerprint {f['data'][key][1]}"
            for run, f in facts.items()
            if key in f["data"] and f["data"][key][0] == digest
        }
        found.append(_mixed(f"training data {key!r}", prints, names))
    for benchmark in sorted({part.layout.benchmark for parts in scored.values() for part in parts}):
        prints = {
            run: f"data {part.layout.fingerprint}"
            for run, parts in scored.items()
            for part in parts
            if part.layout.benchmark == benchmark
        }
        found.append(_mixed(f"benchmark {benchmark!r}", prints, names))
    return [sentence for sentence in found if sentence]


def refuse_mixtures(found: Iterable[str]) -> None:
    """DataError with every mixture, and what to do about it."""
    found = list(found)
    if found:
        raise DataError(
            f"the runs cannot be paired as one study: {'; '.join(found)}. Run the odd ones again "
            "in a fresh output_dir, or ask for the comparison as it is with allow_mixed=true"
        )


def _version(commit: str | None, dirty: bool | None) -> str:
    name = "an unknown commit" if commit is None else f"commit {commit[:7]}"
    return f"{name} with uncommitted changes" if dirty else name


def _names(runs: Sequence[PlannedRun]) -> dict[str, str]:
    """run id -> `arm seed 0 (id)`, by the first arm that the run stands for."""
    names: dict[str, str] = {}
    for run in runs:
        names.setdefault(run.run_id, f"{run.arm} seed {run.seed} ({run.run_id})")
    return names


def _mixed(what: str, kinds: Mapping[str, str], names: Mapping[str, str]) -> str:
    """`code: 3 runs at ..., 1 run at ... [which]`; empty where all runs are of one kind."""
    groups: dict[str, list[str]] = {}
    for run, kind in kinds.items():
        groups.setdefault(kind, []).append(run)
    if len(groups) < 2:
        return ""
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    parts = []
    for position, (kind, runs) in enumerate(ordered):
        words = f"{len(runs)} run{'s' if len(runs) > 1 else ''} of {kind}"
        if position:  # the odd ones are named
            listed = ", ".join(names[run] for run in runs[:NAMED])
            more = f" and {len(runs) - NAMED} more" if len(runs) > NAMED else ""
            words += f" [{listed}{more}]"
        parts.append(words)
    return f"{what}: {', '.join(parts)}"
