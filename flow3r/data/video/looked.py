"""What was found in every source that was looked at, kept so that no source is looked at twice.

A source is known by its content: a file that was moved or renamed is recognised. Where path, size
and time of change are those of an earlier look, not even the content is read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flow3r.data.video.config import IngestConfig
from flow3r.data.video.looking import Findings, look
from flow3r.data.video.sources import Source
from flow3r.errors import DataError
from flow3r.storage.records import DamagedRecordError, MissingRecordError, content_key
from flow3r.storage.store import RecordStore

KIND = "findings in videos"
BUCKETS = 16
FLUSH_SECONDS = 10.0


@dataclass(frozen=True)
class Known:
    """A source that was looked at."""

    fingerprint: str
    findings: Findings


class Looked:
    """The findings in one folder; many processes may add to it at once."""

    def __init__(self, folder: Path, config: IngestConfig) -> None:
        self.folder, self.config = folder, config
        self._flushed = time.monotonic()
        self._store = RecordStore.create(folder, KIND, BUCKETS)

    def knows(self, source: Source) -> bool:
        """Whether `known` finds something."""
        return self._read(source) is not None

    def known(self, source: Source) -> Known | None:
        """What was found in this source with these settings, None if that is not known."""
        found = self._read(source)
        return None if found is None else Known(found[0], Findings.unpacked(found[1]))

    def _read(self, source: Source) -> tuple[str, bytes] | None:
        """(fingerprint, findings), packed."""
        mark = self._get(_place(source))
        findings = mark and self._get(self._content(source, mark.decode()))
        return (mark.decode(), findings) if mark and findings else None

    def _get(self, key: bytes) -> bytes | None:
        """A record; damaged ones are taken out, so that they can be made again."""
        try:
            return self._store.get(key)
        except MissingRecordError:
            return None
        except DamagedRecordError:
            self._store.repair()
            return None

    def add(self, source: Source, beat: Callable[[float], None]) -> Known:
        """Look at a source, unless its content is known, and keep what was found.

        Raises OSError or DataError where the content cannot even be read.
        """
        mark = source.fingerprint()
        key = self._content(source, mark)
        packed = self._get(key)
        if packed is None:
            packed = look(source, self.config, beat).packed()
            self._store.put([(key, packed)])
        self._store.put([(_place(source), mark.encode())])
        return Known(mark, Findings.unpacked(packed))

    def flush_sometimes(self) -> None:
        """Now and then make sure that what was added outlives a power failure."""
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self._store.flush()
            self._flushed = time.monotonic()

    def _content(self, source: Source, mark: str) -> bytes:
        # The extension, because it decides how a file of doubtful format is read.
        extension = source.path.suffix.lower()
        return content_key(["findings", self.config.fingerprint, source.kind, extension, mark])


def _place(source: Source) -> bytes:
    path = os.fsencode(os.path.abspath(source.path)).hex()  # JSON holds no bytes
    return content_key(["place", source.kind, path, source.stamp])


@dataclass(frozen=True)
class LookTask:
    """One source to look at, for a process of its own."""

    source: Source
    config: IngestConfig
    folder: Path


_kept_open = lru_cache(maxsize=1)(Looked)
"""A process opens the findings once for all its tasks."""


def work(task: LookTask, beat: Callable[[float], None]) -> dict[str, Any]:
    """Look at the source of the task; the number of its clips, or why it cannot be read."""
    from flow3r.teachers.opencv import require_opencv

    require_opencv().setNumThreads(1)
    try:
        known = _kept_open(task.folder, task.config).add(task.source, beat)
    except OSError as error:
        return {"failure": f"cannot be read ({error.strerror or error})"}
    except DataError as error:
        return {"failure": str(error).removeprefix(f"{task.source.path}: ")}
    return {"clips": len(known.findings.clips)}
