"""Unpack the recorded example: records of the laptop study, to try the analysis without training.

usage: python analysis/example.py [to=outputs/example]

Then, for instance:
  python analysis/report.py sweep=formulations output_dir=outputs/example
  python analysis/trace.py sweep=formulations arm=flow-factored benchmark=dynamic metric=auc_30 \\
      baseline=3d-sup output_dir=outputs/example
It holds fewer test scenes than the study (see analysis/record_example.py), no weights and no
predictions, so its intervals are wider, and checkpoints cannot be scored again.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Python puts this file's folder first, where statistics.py would hide the standard module.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__.strip())
        sys.exit(0)

import tarfile
from collections.abc import Sequence
from pathlib import Path

from analysis.arguments import parse_arguments
from flow3r.errors import ConfigError, DataError

ARCHIVE = Path(__file__).resolve().parent / "example.tar.xz"


def unpack(target: Path, archive: Path = ARCHIVE) -> list[str]:
    """Unpack below `target` and return the sweeps. DataError where it holds a sweep already."""
    if (target / "reports").exists() or (target / "runs").exists():
        raise DataError(f"{target} holds records already; choose another folder with to=...")
    with tarfile.open(archive, "r:xz") as packed:
        packed.extractall(target, filter="data")
    return sorted(path.parent.name for path in target.glob("reports/*/plan.json"))


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status."""
    try:
        target = Path(parse_arguments(arguments, {"to": "outputs/example"}, "example.py")["to"])
        sweeps = unpack(target)
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{', '.join(sweeps)} in {target}; python analysis/report.py sweep=NAME "
          f"output_dir={target}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
