"""What is evaluated: a run of ours, a file of weights, or somebody's predictions."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from experiments.rundir import RunDirectory
from flow3r.config import require_choice
from flow3r.errors import DataError
from flow3r.evaluation.prediction_files import POINTS, POSES_ARRAY, POSES_TEXT
from flow3r.formulations.assembled import Flow3r
from flow3r.library.create import model_config
from flow3r.library.load import WEIGHTS, find_run, load
from flow3r.library.presets import preset_of
from flow3r.model.attention import Attention, sdpa_attention
from flow3r.teachers.learned import weights_content
from flow3r.weights.files import read_weights

KINDS = ("weights", "run", "predictions")


@dataclass(frozen=True)
class Source:
    """Something with predictions, or that makes them."""

    kind: str
    path: Path
    content: str
    """16 hexadecimal digits of what it holds."""
    patch_size: int | None
    """Of the model; None for predictions."""

    def record(self) -> dict[str, Any]:
        """For specs: its content is its identity, not where it lies (`weights` is not hashed)."""
        path = str(self.path.resolve())
        return {"kind": self.kind, "weights": path, "content": self.content}


def find_source(kind: str, path: Path) -> Source:
    """What lies at `path`. Raises DataError if it is not of this kind or has no weights yet."""
    require_choice("source", kind, KINDS)
    if not path.exists():
        raise DataError(f"{kind}={str(path)!r}: no such file or folder")
    if kind == "predictions":
        return Source(kind, path, predictions_content(path), None)
    run = find_run(path)
    if run is not None:
        return _run(run, path)
    if kind == "run" or path.is_dir():
        raise DataError(f"{kind}={str(path)!r}: not a run directory (no spec.json)")
    patch = model_config(preset_of(read_weights(path), f"weights={path}")).patch_size
    return Source("weights", path, weights_content(path), patch)


def load_model(path: Path, device: torch.device, dtype: torch.dtype) -> Flow3r:
    """The model with these weights, for sequences of any length.

    Attention is the fused one whatever the config says: the same function, in memory that grows
    with the tokens instead of their square.
    """
    may_lack = () if find_run(path) else ("confidence",)  # early pi3 weights have no such branch
    model = load(path, device=device, dtype=dtype, may_lack=may_lack)
    for module in model.modules():
        if isinstance(module, Attention):
            module.attend = sdpa_attention
    return model


def predictions_content(folder: Path) -> str:
    """16 hexadecimal digits over the files of a folder of predictions.

    Of an npz the names, sizes and checksums of its arrays, which its directory lists: gigabytes are
    not read. Raises DataError where there are no predictions.
    """
    names = (POINTS, POSES_ARRAY, POSES_TEXT)
    files = sorted(path for name in names for path in folder.rglob(name))
    if not files:
        raise DataError(f"predictions={str(folder)!r}: no {', '.join(names)} in it")
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        found.update(_listing(path) if path.name == POINTS else path.read_bytes())
    return found.hexdigest()[:16]


def _listing(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [(m.filename, m.file_size, m.CRC) for m in archive.infolist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read predictions {path}: {error}") from None
    return repr(entries).encode()


def _run(run: Path, path: Path) -> Source:
    content = RunDirectory(run).spec()
    require_choice("kind of run directory", content["kind"], WEIGHTS)
    weights = path if path.is_file() and path.suffix != ".json" else run / WEIGHTS[content["kind"]]
    if not weights.is_file():
        raise DataError(f"run={run} has no weights yet ({weights.name} is missing): train it first")
    patch = content["spec"]["model"]["patch_size"]
    return Source("run", weights, weights_content(weights), patch)
