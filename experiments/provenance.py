"""Where a result comes from: code, packages, machine, data."""

from __future__ import annotations

import hashlib
import platform
import socket
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "einops", "numpy", "scipy")


def git_state() -> dict[str, Any]:
    """Commit and whether tracked files differ from it; commit None outside a repository.

    As when this module was imported, as the rest of the code was: what is committed while the
    process lives, or before it is forked, is not what it runs.
    """
    return {"git_commit": _COMMIT, "git_dirty": bool(_DIFF)}


def git_diff() -> str:
    """The uncommitted changes of tracked files, likewise."""
    return _DIFF


def environment() -> dict[str, Any]:
    """Python, package versions, host."""
    return {
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "host": socket.gethostname(),
    }


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """A hash of named tensors, bit for bit: equal in two runs that start from the same weights."""
    found = hashlib.blake2b(digest_size=8)
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(REPOSITORY), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


_COMMIT = _git("rev-parse", "HEAD")
_DIFF = _git("diff", "HEAD") or ""
