"""Projects the run directories of a sweep to MLflow: once, while a sweep runs, or all anew."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

# The folder of this script would otherwise shadow other modules; the repository is what we import.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flow3r.errors import ConfigError

_USAGE = """\
Project the run directories of a sweep to MLflow.

  python sweeps/track.py sync    output_dir=outputs sweep=NAME    bring MLflow up to date
  python sweeps/track.py rebuild output_dir=outputs [sweep=NAME]  make its runs anew
  tracking_uri=URI            default: sqlite:///<output_dir>/mlflow.db
Without sweep=, all sweeps of the folder. A rebuild moves the runs that it replaces to MLflow's
trash; runs that people added stay, and so do their tags and descriptions.
  follow=true                 (sync) go on every interval=10 seconds until standard input closes,
                              and draw the figures of the runs that end meanwhile
"""
BEHIND = 3
"""Exit code: MLflow lacks something; `sync` brings it up to date."""
_NAMES = ("output_dir", "sweep", "tracking_uri", "follow", "interval")


def main(words: list[str]) -> int:
    """Returns the exit code."""
    if not words or "--help" in words or "-h" in words:
        print(_USAGE)
        return 0
    try:
        command, options = _parse(words)
        output_dir = Path(options.get("output_dir", "outputs")).absolute()
        sweeps = _sweeps(output_dir, options.get("sweep"))
        uri = options.get("tracking_uri")
        if options.get("follow") == "true":
            return _follow(output_dir, sweeps[0], uri, float(options.get("interval", "10")))
        return _guarded_once(command, output_dir, sweeps, uri)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _guarded_once(command: str, output_dir: Path, sweeps: list[str], uri: str | None) -> int:
    from mlflow.exceptions import MlflowException

    from sweeps.tracking.store import NotProjected

    try:
        _once(command, output_dir, sweeps, uri)
    except (MlflowException, NotProjected) as error:
        store = uri or "the store of the output folder"
        print(f"error: {store} is not up to date: {error}; try again later", file=sys.stderr)
        return BEHIND
    return 0


def _parse(words: list[str]) -> tuple[str, dict[str, str]]:
    command, *rest = words
    if command not in ("sync", "rebuild"):
        raise ConfigError(f"{command!r} is not a command; choose one of ['sync', 'rebuild']")
    options = {}
    for word in rest:
        name, _, value = word.partition("=")
        if name not in _NAMES:
            raise ConfigError(f"{word!r} is not understood; valid names are {list(_NAMES)}")
        options[name] = value
    return command, options


def _sweeps(output_dir: Path, wanted: str | None) -> list[str]:
    planned = sorted(path.parent.name for path in output_dir.glob("reports/*/plan.json"))
    if not planned:
        raise ConfigError(f"output_dir={output_dir} holds no sweep (no reports/*/plan.json)")
    if wanted is not None and wanted not in planned:
        raise ConfigError(f"sweep={wanted!r} is not in {output_dir}; choose one of {planned}")
    return planned if wanted is None else [wanted]


def _once(command: str, output_dir: Path, sweeps: list[str], uri: str | None) -> None:
    from sweeps.tracking.store import SweepProjection
    from sweeps.tracking.uri import fail_fast

    fail_fast(retries=4, seconds=60)
    for sweep in sweeps:
        projection = SweepProjection(output_dir, sweep, uri)
        if command == "rebuild" and (replaced := projection.clear()):
            print(
                f"{sweep}: {replaced} runs moved to MLflow's trash (State: Deleted shows them, "
                "'mlflow gc' empties it); they are made anew with the tags and descriptions that "
                "people gave them"
            )
        written = projection.sync()
        projection.sync_study()
        print(f"{sweep}: {written} metric values written")


def _follow(output_dir: Path, sweep: str, uri: str | None, interval: float) -> int:
    """Sync until the scheduler closes our standard input (or dies, which closes it too)."""
    # Ctrl-C is the scheduler's business: it still wants the last states projected.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)  # training comes first
    # The scheduler reads our answers; what libraries print belongs into the log, as errors do.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from sweeps.drawing import Drawing
    from sweeps.planning.planned import planned_runs
    from sweeps.tracking.follow import Follower

    def open_projection():
        from sweeps.tracking.store import SweepProjection
        from sweeps.tracking.uri import fail_fast

        fail_fast(retries=1, seconds=15)  # the loop tries again; figures must not wait
        return SweepProjection(output_dir, sweep, uri)

    runs = planned_runs(output_dir, sweep)
    drawing = Drawing([(run["label"], output_dir / "runs" / run["run_id"]) for run in runs])
    follower = Follower(open_projection, drawing, interval, sys.stdin.fileno(), answers)
    try:
        follower.run()
    except Exception as error:
        print(f"MLflow is not up to date: {error!r}", file=sys.stderr)
        return BEHIND
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
