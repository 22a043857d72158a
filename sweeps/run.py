"""The front door: `python sweeps/run.py sweep=NAME`. See --help."""

from __future__ import annotations

import sys
from pathlib import Path

# The folder of this script would otherwise shadow other modules; the repository is what we import.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flow3r.errors import ConfigError, DataError
from sweeps.options import Options, parse
from sweeps.usage import usage

BENCHMARKS = "benchmarks"
"""The sweep that trains nothing: it evaluates what there is."""
TUNING = "tuning"
"""The sweep whose runs are candidates: which of them goes on depends on the others."""


def main(words: list[str]) -> int:
    """Returns the exit code: 0 all done, 1 a run failed, 2 a mistake of the user, 130 stopped."""
    if not words or any(word in ("--help", "-h", "help") for word in words):
        print(usage())
        return 0
    try:
        return _execute(parse(words))
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before or after the runs; during them the executor stops gently
        print("stopped; the same command continues", file=sys.stderr)
        return 130


def _execute(options: Options) -> int:
    if options.sweep == BENCHMARKS:
        from sweeps.benchmarks.session import preview_sweep, run_sweep
    elif options.sweep == TUNING:
        from sweeps.tuning.session import preview_sweep, run_sweep
    else:
        from sweeps.session import preview_sweep, run_sweep

    if options.dry_run:
        print(preview_sweep(options))
        return 0
    return run_sweep(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
