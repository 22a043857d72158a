"""Whether a report says what its records say now: then there is no need to draw it again."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from analysis.plan import plan_path, read_plan
from analysis.record_cache import stamp
from flow3r.files import read_json, write_json

HERE = Path(__file__).resolve().parent
NAME = ".written.json"
PACKAGES = ("matplotlib", "pandas", "scipy", "seaborn")


def digest_of_inputs(output_dir: Path, sweep: str) -> str:
    """Of all that a report depends on: records, figures of the runs, the code that writes it."""
    path = plan_path(output_dir, sweep)
    names = {run.run_id for run in read_plan(output_dir, sweep).runs}
    code = sorted(p for p in HERE.rglob("*") if p.suffix in (".py", ".css"))
    drawn = sorted(path.parent.glob("qualitative/*.png"))
    content = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (path, *code, *drawn)]
    records = [_records(output_dir / "runs" / name) for name in sorted(names)]
    packages = [version(name) for name in PACKAGES]
    text = json.dumps([sorted(names), content, records, packages])
    return hashlib.sha256(text.encode()).hexdigest()


def _records(directory: Path) -> list[object]:
    """What tells one state of a run's files from another."""
    others = (directory / "metrics.jsonl", *sorted(directory.glob("figures/*.png")))
    found = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in others if p.exists()]
    return [stamp(directory), found]


def said_of(folder: Path, inputs: str) -> dict[str, str] | None:
    """What was kept with the report if it was written from these inputs and is still there."""
    path = folder / NAME
    if not path.exists() or not (folder / "report.html").exists():
        return None
    kept = read_json(path)
    return kept["said"] if kept["inputs"] == inputs else None


def keep(folder: Path, inputs: str, said: dict[str, str]) -> None:
    """Note what a report was written from, and what the console shows of it."""
    write_json(folder / NAME, {"inputs": inputs, "said": said})


def forget(folder: Path) -> None:
    """The report is about to be written from something else."""
    (folder / NAME).unlink(missing_ok=True)
