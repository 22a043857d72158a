"""What Hydra's joblib launcher starts for `launchers.py`: one run, from its spec."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

ConfigStore.instance().store("launcher_job", {"spec": "???", "calls": "process"})
TRAIN = Path(__file__).resolve().parents[1] / "experiments" / "train.py"


@hydra.main(version_base="1.3", config_path=None, config_name="launcher_job")
def main(job: DictConfig) -> None:
    """Train in a process of its own, or by a call in joblib's worker."""
    if job.calls == "process":
        subprocess.run([sys.executable, str(TRAIN), f"spec={job.spec}"], check=True)
        return
    from experiments.train import main as train

    code = train([f"spec={job.spec}"])
    if code:
        raise RuntimeError(f"exit code {code}: {job.spec}")


if __name__ == "__main__":
    main()
