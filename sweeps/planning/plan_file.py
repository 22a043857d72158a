"""`reports/<sweep>/plan.json`: the plan as recorded, which a narrower command never shrinks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flow3r.errors import ConfigError
from flow3r.files import read_json, write_json
from flow3r.locks import locked
from sweeps import states
from sweeps.jobs import REPOSITORY
from sweeps.planning.expansion import Entry, Plan, plan_record
from sweeps.planning.questions import stated


def plan_path(output_dir: Path, sweep: str) -> Path:
    """Where the plan of a sweep lies."""
    return output_dir / "reports" / sweep / "plan.json"


def recorded_entries(output_dir: Path, sweep: str, profile: str) -> tuple[Entry, ...]:
    """What earlier commands have planned in this folder; nothing if it was for another profile."""
    before = _read(plan_path(output_dir, sweep))
    if before is None or before["profile"] != profile:
        return ()
    return _entries(before["runs"])


def superseded_entries(plan: Plan, output_dir: Path) -> list[Entry]:
    """Cells of earlier plans of this folder that the plan has no more, or has other runs for."""
    return _superseded(plan, _read(plan_path(output_dir, plan.sweep)))


@contextmanager
def held_plan(output_dir: Path, sweep: str) -> Iterator[None]:
    """Hold the plan of a sweep: no other command writes it meanwhile."""
    with locked(plan_path(output_dir, sweep).parent / ".plan.lock"):
        yield


def record_plan(plan: Plan, output_dir: Path) -> None:
    """Write plan.json; ConfigError where the folder holds this sweep in another profile."""
    with held_plan(output_dir, plan.sweep):
        write_plan(plan, output_dir)


def write_plan(plan: Plan, output_dir: Path) -> None:
    """As `record_plan`, for who holds the plan already (`held_plan`)."""
    path = plan_path(output_dir, plan.sweep)
    before = _read(path)
    if before is not None and (other := before["profile"]) != plan.profile:
        raise ConfigError(
            f"output_dir={output_dir} holds sweep={plan.sweep} with profile={other}, not "
            f"profile={plan.profile}; choose another output_dir, or profile={other}"
        )
    record = plan_record(plan, git_commit())
    directories = [output_dir / "runs" / run.run_id for run in plan.runs]
    finished = sum(states.state_of(directory) == states.DONE for directory in directories)
    record["questions_stated"] = stated(record["questions"], before, finished)
    superseded = _superseded(plan, before)
    if superseded:
        record["superseded"] = [
            {"arm": entry.arm, "seed": entry.seed, "run_id": entry.run_id} for entry in superseded
        ]
    write_json(path, record)


def git_commit() -> str | None:
    """The commit that runs; None outside a repository."""
    words = ["git", "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _superseded(plan: Plan, before: Mapping[str, Any] | None) -> list[Entry]:
    if before is None:
        return []
    earlier = (*_entries(before.get("superseded", ())), *_entries(before["runs"]))
    return [entry for entry in dict.fromkeys(earlier) if entry not in set(plan.entries)]


def _entries(rows: Any) -> tuple[Entry, ...]:
    return tuple(Entry(row["arm"], int(row["seed"]), row["run_id"]) for row in rows)


def _read(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.exists() else None
