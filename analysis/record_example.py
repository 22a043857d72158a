"""Make a small archive of a study's records, without weights, predictions and machine names.

usage: python analysis/record_example.py from=OUTPUT_DIR [to=analysis/example.tar.xz] [scenes=128]

Every sweep planned in OUTPUT_DIR is taken: plans, specs, states, provenance, scores of the first
`scenes` test scenes of each benchmark (at full precision) and every fifth point of the training
curves. The data fingerprints get a suffix, since fewer scenes are other data; chance levels stay
those of all scenes. `python analysis/example.py` unpacks the archive.
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

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.arguments import parse_arguments
from analysis.example import ARCHIVE
from analysis.runfiles import EVALUATION, PROVENANCE, SPEC, STATUS, read_object
from flow3r.config import require
from flow3r.errors import ConfigError, DataError
from flow3r.files import write_atomically

THINNING = 5  # every fifth point of a training curve is kept; validation points all are
MACHINE = "laptop"
SETTINGS = {"from": None, "to": str(ARCHIVE), "scenes": "128"}


def record(source: Path, target: Path, scenes: int) -> int:
    """Write the archive; returns the number of runs in it. DataError where there is no plan."""
    plans = sorted(source.glob("reports/*/plan.json"))
    if not plans:
        raise DataError(f"{source} holds no sweep (no reports/*/plan.json)")
    contents: dict[str, str] = {}
    runs: dict[str, None] = {}
    for path in plans:
        plan = read_object(path)
        contents[str(path.relative_to(source))] = _text(plan)
        runs |= dict.fromkeys(run["run_id"] for run in plan["runs"])
    for run in sorted(runs):
        directory = source / "runs" / run
        contents |= {f"runs/{run}/{name}": text for name, text in _run(directory, scenes)}
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, lambda temporary: _pack(temporary, contents))
    return len(runs)


def _run(directory: Path, scenes: int) -> Iterator[tuple[str, str]]:
    """The reduced files of a run; of one that never started, none."""
    reductions = {SPEC: _plain, STATUS: _anonymous, PROVENANCE: _anonymous}
    for name, reduce in reductions.items():
        if (directory / name).is_file():
            yield name, _text(reduce(read_object(directory / name)))
    if (directory / EVALUATION).is_file():
        yield EVALUATION, _text(_fewer_scenes(read_object(directory / EVALUATION), scenes))
    curve = directory / "metrics.jsonl"
    if curve.is_file():
        yield curve.name, _thinned(curve.read_text(encoding="utf-8"))


def _plain(content: Mapping[str, Any]) -> Mapping[str, Any]:
    return content


def _anonymous(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without the machine's name, the process and the build of its kernel."""
    kept = {key: value for key, value in content.items() if key != "pid"}
    if "host" in kept:
        kept["host"] = MACHINE
    if "platform" in kept:
        kept["platform"] = kept["platform"].partition("-")[0]
    return kept


def _fewer_scenes(evaluation: Mapping[str, Any], count: int) -> dict[str, Any]:
    benchmarks = {}
    for name, benchmark in evaluation["benchmarks"].items():
        rows = benchmark["scenes"][:count]
        metrics = sorted(set().union(*(row["metrics"] for row in rows)))
        known = {m: [row["metrics"][m] for row in rows if m in row["metrics"]] for m in metrics}
        benchmarks[name] = {
            **benchmark,
            "fingerprint": f"{benchmark['fingerprint']}-first-{len(rows)}",
            "scenes": rows,
            "summary": {metric: sum(values) / len(values) for metric, values in known.items()},
        }
    return {**evaluation, "benchmarks": benchmarks}


def _thinned(text: str) -> str:
    """Every THINNING-th line, and all with validation scores."""
    lines = [line for line in text.splitlines() if line.strip()]
    kept = [
        line
        for number, line in enumerate(lines, start=1)
        if number % THINNING == 0 or '"validation/' in line
    ]
    return "".join(f"{line}\n" for line in kept)


def _text(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n"


def _pack(path: Path, contents: Mapping[str, str]) -> None:
    """The same contents give the same bytes. Sorted by file name, so that equals lie together."""
    with tarfile.open(path, "w:xz", preset=9) as archive:
        for name in sorted(contents, key=lambda name: (name.rpartition("/")[2], name)):
            data = contents[name].encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status."""
    try:
        given = parse_arguments(arguments, SETTINGS, "record_example.py")
        scenes, target = given["scenes"], Path(given["to"])
        require(scenes.isdigit() and int(scenes) > 0, f"scenes={scenes!r}: write a count")
        count = record(Path(given["from"]), target, int(scenes))
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{count} runs, {target.stat().st_size / 2**20:.2f} MiB: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
