"""One small trained run, shared by the tests of a session, and ways to start scripts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flow3r.locks import locked

REPOSITORY = Path(__file__).resolve().parents[2]

SMALL = [
    "profile=smoke",
    "size.source_clips=3",
    "size.labelled_pool=3",
    "size.unlabelled_pool=3",
    "size.validation_clips=2",
    "size.test_clips=2",
    "size.unlabelled_clips=3",
]


@pytest.fixture(scope="session")
def run_script():
    """A function: script, arguments -> the finished process, in an environment of one thread."""

    def run(script: str, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, str(REPOSITORY / script), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    return run


@pytest.fixture(scope="session")
def small_overrides():
    """Overrides that make a run as small as it can be."""
    return list(SMALL)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, run_script):
    """The output folder of one finished flow-factored run, made once for all workers of pytest."""
    base = tmp_path_factory.getbasetemp()
    output = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained"
    with locked(output.with_suffix(".lock")):
        result = run_script("experiments/train.py", *SMALL, f"output_dir={output}")
    assert result.returncode == 0, result.stdout + result.stderr
    return output


@pytest.fixture
def output(trained, tmp_path):
    """A new output folder in which the shared stages are done."""
    shutil.copytree(trained / "stages", tmp_path / "stages")
    return tmp_path
