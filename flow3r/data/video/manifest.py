"""The manifest: one row per clip of a folder of videos, as a Parquet file.

It says what to decode, not at which size: the size, the pairs and the teacher come later. Rows hold
paths below a folder; the folder itself is kept beside them and is no part of the fingerprint.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from flow3r.errors import ConfigError, DataError
from flow3r.files import write_atomically

SCHEMA_VERSION = b"1"
ROWS_AT_A_TIME = 16384
"""Rows held as Python objects while a manifest is written, and hashed in one go."""


@dataclass(frozen=True)
class ManifestClip:
    """One clip: what is needed to decode it, and how it moves."""

    name: str
    """`<source>/<number of the first frame>`; unique in the manifest."""
    source: str
    """The video below the folder, as text that any encoding can hold."""
    path: Path
    """The file, or for a sequence `<folder>/<name of its frames with %d or %05d for the number>`"""
    kind: str
    """file or sequence."""
    fingerprint: str
    """Of the source's content."""
    shot: int
    """Number of the shot in its source, from 0."""
    frame_numbers: tuple[int, ...]
    """In decoding order: the clip's own frames and those between that a teacher may chain over.
    Of a file from 0; of a sequence the numbers in the names."""
    frame_seconds: tuple[float, ...]
    """Presentation times, in the clock of the file (its first frame need not be at 0)."""
    clip_positions: tuple[int, ...]
    """Positions of the clip's own frames in `frame_numbers`."""
    height: int
    width: int
    """Of the upright picture with square pixels; the longer direction of a pixel is shortened."""
    pixel_aspect: float
    """Width over height of one pixel of the upright decoded picture."""
    motion: float
    """First to last frame, share of the short side, a quantile of the pixels."""
    overlap: float
    """Least share of pixels found again from one own frame to the next."""
    by_time: bool = True
    """Whether time stamps tell the frames apart; if not, they are counted from the beginning."""

    @property
    def span_seconds(self) -> float:
        """From the first to the last frame."""
        return self.frame_seconds[-1] - self.frame_seconds[0]


class Manifest:
    """Clips by number, read from a table in memory (about 300 bytes per clip)."""

    def __init__(self, table: Any, folder: Path) -> None:
        self._table, self.folder = table, folder

    def __len__(self) -> int:
        return self._table.num_rows

    def clip(self, index: int) -> ManifestClip:
        """The clip in row `index`; IndexError outside the table."""
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        return _clip(self._table.slice(index, 1).to_pylist()[0], self.folder)

    def __iter__(self) -> Iterator[ManifestClip]:
        for batch in self._table.to_batches(ROWS_AT_A_TIME):
            for row in batch.to_pylist():
                yield _clip(row, self.folder)

    def column(self, name: str) -> list[Any]:
        """All values of one column, in the order of the clips."""
        return self._table.column(name).to_pylist()

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over all rows, without the folder's own path."""
        digest = hashlib.sha256()
        for start in range(0, len(self), ROWS_AT_A_TIME):
            rows = self._table.slice(start, ROWS_AT_A_TIME)
            for name in rows.column_names:
                _add_column(digest, rows.column(name))
        return digest.hexdigest()[:16]


def write_manifest(path: Path, clips: Iterable[ManifestClip], folder: Path) -> Manifest:
    """Write the clips in the order given, atomically, a few thousand in memory at a time.

    The clips' paths lie below `folder` (or are `folder` itself, a single file).
    """
    parquet = _require_parquet()
    root = Path(os.path.abspath(folder))
    schema = _schema(root)

    def write(temporary: Path) -> None:
        with parquet.ParquetWriter(
            temporary, schema, compression="zstd", write_page_checksum=True
        ) as writer:
            for batch in _batches(clips, schema, root):
                writer.write_batch(batch)

    write_atomically(path, write)
    return read_manifest(path)


def read_manifest(path: Path, folder: Path | None = None) -> Manifest:
    """Read a manifest; `folder` says where the videos are now, if they have moved.

    Raises DataError for a file that is missing, damaged or no manifest of this version.
    """
    parquet = _require_parquet()
    import pyarrow

    if not path.is_file():
        raise DataError(f"{path}: no such manifest; experiments/prepare.py writes one")
    try:
        table = parquet.read_table(path, page_checksum_verification=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as a manifest ({error})") from None
    metadata = table.schema.metadata or {}
    if metadata.get(b"flow3r.manifest") != SCHEMA_VERSION:
        raise DataError(f"{path}: not a manifest of version {SCHEMA_VERSION.decode()}")
    kept = Path(os.fsdecode(metadata.get(b"flow3r.folder", b"")))
    expected = _schema(kept)
    if not table.schema.equals(expected) or metadata != expected.metadata:
        raise DataError(f"{path}: damaged (columns or folder are not those that were written)")
    root = kept if folder is None else Path(folder)
    return Manifest(table.unify_dictionaries().combine_chunks(), root)


def _require_parquet() -> ModuleType:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            f"manifests of videos need pyarrow, which cannot be imported ({error}); "
            "install it with: pip install pyarrow"
        ) from error
    return pyarrow.parquet


def _schema(root: Path) -> Any:
    import pyarrow as pa

    repeated = pa.dictionary(pa.int32(), pa.string())
    types = {
        "name": pa.string(),
        "source": repeated,
        "path": pa.dictionary(pa.int32(), pa.binary()),
        "kind": repeated,
        "fingerprint": repeated,
        "shot": pa.int32(),
        "frame_numbers": pa.list_(pa.int64()),
        "frame_seconds": pa.list_(pa.float64()),
        "clip_positions": pa.list_(pa.int32()),
        "height": pa.int32(),
        "width": pa.int32(),
        "pixel_aspect": pa.float64(),
        "motion": pa.float64(),
        "overlap": pa.float64(),
        "by_time": pa.bool_(),
    }
    below = os.fsencode(root)
    metadata = {
        b"flow3r.manifest": SCHEMA_VERSION,
        b"flow3r.folder": below,
        # Pages carry checksums of their own, the file's footer does not.
        b"flow3r.check": hashlib.sha256(below).hexdigest().encode(),
    }
    return pa.schema(list(types.items()), metadata=metadata)


def _batches(clips: Iterable[ManifestClip], schema: Any, root: Path) -> Iterator[Any]:
    import pyarrow as pa

    remaining = iter(clips)
    while rows := list(islice(remaining, ROWS_AT_A_TIME)):
        columns = {f.name: [getattr(clip, f.name) for clip in rows] for f in fields(ManifestClip)}
        columns["path"] = [_below(clip.path, root) for clip in rows]
        yield pa.RecordBatch.from_pydict(columns, schema=schema)


def _below(path: Path, root: Path) -> bytes:
    return os.fsencode(os.path.relpath(os.path.abspath(path), root))


def _clip(row: dict[str, Any], folder: Path) -> ManifestClip:
    below = os.fsdecode(row.pop("path"))
    lists = ("frame_numbers", "frame_seconds", "clip_positions")
    return ManifestClip(
        path=folder if below == "." else folder / below,
        **{name: tuple(row.pop(name)) for name in lists},
        **row,
    )


def _add_column(digest: Any, column: Any) -> None:
    import pyarrow as pa

    values = column.combine_chunks()
    kind = values.type
    if pa.types.is_list(kind):
        digest.update(np.asarray(values.value_lengths(), np.int64).tobytes())
        values, kind = values.flatten(), kind.value_type
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        for value in values.to_pylist():
            raw = value if isinstance(value, bytes) else value.encode()
            digest.update(len(raw).to_bytes(8, "little") + raw)
    else:
        digest.update(np.asarray(values).tobytes())
