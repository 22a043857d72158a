"""What Hydra's joblib launcher starts for `launchers.py`: one run, from its spec."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

TRAIN = Path(__file__).resolve().parents[1] / "experiments" / "train.py"


def work(job: Any) -> None:
    """Train in a process of its own, or by a call in joblib's worker."""
    if job.calls == "process":
        subprocess.run([sys.executable, str(TRAIN), f"spec={job.spec}"], check=True)
        return
    from experiments.train import main as train

    code = train([f"spec={job.spec}"])
    if code:
        raise RuntimeError(f"exit code {code}: {job.spec}")


def main() -> None:
    """Let Hydra read the command line and launch."""
    import hydra
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store("launcher_job", {"spec": "???", "calls": "process"})
    hydra.main(version_base="1.3", config_path=None, config_name="launcher_job")(work)()


if __name__ == "__main__":
    main()
