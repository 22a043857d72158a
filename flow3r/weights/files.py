"""Reading weights files. Nothing pickled ever runs, and nothing is read twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from flow3r.errors import DataError
from flow3r.files import write_atomically

ZIP, PICKLE = b"PK\x03\x04", b"\x80"


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .bin, .pt or .pth file by name, on the CPU.

    They are mapped from the file, not copied: memory is taken as they are used, changes stay
    private, and the file must not be cut or overwritten in place meanwhile. Raises DataError for a
    file that is missing, damaged, of another kind than its name says, or holds anything but
    tensors by name.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"no weights file at {path}")
    if path.suffix not in _READERS:
        raise DataError(f"{path}: weights files end with one of {sorted(_READERS)}")
    content = _READERS[path.suffix](path)
    strange = [k for k, v in content.items() if not isinstance(v, Tensor)]
    if strange or not content:
        raise DataError(
            f"{path} does not hold tensors by name: "
            + (f"{str(strange[0])!r} is none (is it a whole checkpoint?)" if strange else "empty")
        )
    return {name: tensor.detach() for name, tensor in content.items()}


def write_safetensors(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors by name atomically; DataError where the package is missing."""
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise DataError(
            f"{path}: writing it needs the package 'safetensors' (pip install safetensors)"
        ) from None
    whole = {name: tensor.contiguous() for name, tensor in weights.items()}
    write_atomically(path, lambda temporary: save_file(whole, temporary))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise DataError(
            f"{path}: reading it needs the package 'safetensors' (pip install safetensors)"
        ) from None
    _refuse_other_kinds(path, expected="safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None


def _read_torch(path: Path) -> dict[str, Tensor]:
    _refuse_other_kinds(path, expected="torch")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds
        raise _damaged(path, error) from None
    if not isinstance(content, dict):
        raise DataError(f"{path} does not hold tensors by name but a {type(content).__name__}")
    return content


def _refuse_other_kinds(path: Path, expected: str) -> None:
    """A file renamed from another kind gets a message that says so."""
    with open(path, "rb") as file:
        start = file.read(9)
    if start.startswith(PICKLE):
        raise DataError(f"{path} is a bare pickle, which could run code: refused")
    found = "torch" if start.startswith(ZIP) else "safetensors" if start[8:] == b"{" else None
    if found is not None and found != expected:
        raise DataError(f"{path} holds {found} data but is named as a {expected} file: rename it")


def _damaged(path: Path, error: Exception) -> DataError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return DataError(f"{path} is damaged, truncated, or holds more than tensors: {first}")


_READERS: dict[str, Callable[[Path], dict[str, Tensor]]] = {
    ".safetensors": _read_safetensors,
    ".bin": _read_torch,
    ".pt": _read_torch,
    ".pth": _read_torch,
}
