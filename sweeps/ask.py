"""Put the questions of a sweep's YAML into the plan of a study that was run before they existed.

usage: python sweeps/ask.py sweep=NAME [output_dir=outputs]

The runs are not touched. The plan notes how many of them were finished when the questions were
stated, and the report says so: an answer to a question that was asked afterwards weighs less.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__.strip())
        sys.exit(0)

from collections.abc import Sequence
from pathlib import Path

from experiments.compose import load_sweep
from flow3r.errors import ConfigError, DataError
from flow3r.files import read_json, write_json
from sweeps import states
from sweeps.planning.expansion import Arm
from sweeps.planning.questions import resolve_questions, stated


def ask(output_dir: Path, sweep: str) -> int:
    """Rewrite plan.json with the questions as they are now; returns their number."""
    path = output_dir / "reports" / sweep / "plan.json"
    if not path.is_file():
        raise DataError(f"no plan of sweep {sweep!r} at {path}")
    plan = read_json(path)
    runs = {output_dir / "runs" / run["run_id"] for run in plan["runs"]}
    done = [run for run in runs if states.state_of(run) == states.DONE]
    scored = [set(read_json(run / "evaluation.json")["benchmarks"]) for run in done]
    if not scored:
        raise DataError(f"sweep {sweep!r} has no finished run; sweeps/run.py records its questions")
    arms = [Arm(**{**{k: v for k, v in a.items() if k != "arm"}, "name": a["arm"]})
            for a in plan["arms"]]  # fmt: skip
    config = {**load_sweep(sweep, plan["profile"]), "scaling": plan["scaling"]}
    questions = resolve_questions(config, arms, sorted(set.intersection(*scored)))
    history = stated(questions, plan, len(done))
    write_json(path, {**plan, "questions": list(questions), "questions_stated": history})
    return len(questions)


def main(words: Sequence[str]) -> int:
    """The command; returns its exit status."""
    options = {"output_dir": "outputs"}
    try:
        for word in words:
            name, _, value = word.partition("=")
            if name not in ("sweep", "output_dir") or not value:
                raise ConfigError(f"{word!r} is not understood; valid names: sweep, output_dir")
            options[name] = value
        if "sweep" not in options:
            raise ConfigError("sweep=NAME is missing; see python sweeps/ask.py --help")
        count = ask(Path(options["output_dir"]), options["sweep"])
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{count} questions; python analysis/report.py answers them")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
