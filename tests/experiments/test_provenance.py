"""What a run says about where it comes from."""

import importlib.util
import shutil
import subprocess

import torch

from experiments import provenance
from experiments.provenance import weights_digest


def git(folder, *words):
    own = ["-c", "user.name=A", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", "-C", str(folder), *own, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_commit_is_that_of_the_imported_code(tmp_path):
    """Not the one that is made while a sweep forks its children."""
    copy = tmp_path / "experiments" / "provenance.py"
    copy.parent.mkdir()
    shutil.copy(provenance.__file__, copy)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    first = git(tmp_path, "rev-parse", "HEAD")
    spec = importlib.util.spec_from_file_location("copied_provenance", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    copy.write_text(copy.read_text() + "# changed\n")
    assert module.git_state() == {"git_commit": first, "git_dirty": False}
    assert not module.git_diff()
    spec.loader.exec_module(module)
    assert module.git_state() == {"git_commit": first, "git_dirty": True}
    assert "+# changed" in module.git_diff()
    git(tmp_path, "commit", "-q", "-a", "-m", "second")
    assert module.git_state() == {"git_commit": first, "git_dirty": True}


def test_a_digest_sees_every_bit_name_and_shape_and_nothing_else():
    weights = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(1.0), "n": torch.tensor(3)}
    same = weights_digest({name: weights[name].clone() for name in ("n", "b", "a")})
    assert weights_digest(weights) == same
    changed = [
        {**weights, "a": weights["a"] + 1e-7},
        {**weights, "a": weights["a"].view(3, 2)},
        {**weights, "b": weights["b"].half()},
        {"a": weights["a"], "c": weights["b"], "n": weights["n"]},
    ]
    assert len({same, *map(weights_digest, changed)}) == 5
