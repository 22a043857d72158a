"""JSON files, plain or compressed."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from flow3r.errors import DataError


def read_structured(path: Path) -> Any:
    """The content of a JSON file; `.jgz` and `.gz` are unpacked first. Raises DataError."""
    try:
        content = path.read_bytes()
        if path.suffix in (".jgz", ".gz"):
            content = gzip.decompress(content)
        return json.loads(content)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from error
