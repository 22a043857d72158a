"""From a folder of videos to a manifest of clips."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flow3r.data.video.config import IngestConfig
from flow3r.data.video.isolation import Event, run_isolated
from flow3r.data.video.looked import Looked, LookTask, work
from flow3r.data.video.manifest import Manifest, ManifestClip, write_manifest
from flow3r.data.video.reasons import Skipped, counts_by_kind, summary
from flow3r.data.video.sources import Source, find_sources
from flow3r.data.video.streams import require_av
from flow3r.errors import DataError
from flow3r.files import write_json

MANIFEST = "manifest.parquet"
SKIPPED = "skipped.json"
SUMMARY = "summary.json"
LOOKED = "looked"
STALL_SECONDS = 120.0


@dataclass
class Progress:
    """How far the ingest is. Bytes count, because sources differ in length."""

    sources: int
    """In the folder."""
    known: int
    """Looked at by an earlier run."""
    looked_at: int = 0
    clips: int = 0
    """New ones."""
    total_bytes: int = 0
    """Of the sources to look at."""
    done_bytes: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def remaining_seconds(self) -> float | None:
        """At the average speed so far; None before there is one."""
        if not self.done_bytes:
            return None
        return self.elapsed_seconds * max(0.0, self.total_bytes / self.done_bytes - 1)


def ingest(
    folder: str | Path,
    config: IngestConfig,
    output_dir: Path,
    workers: int = 1,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Progress], None] = lambda progress: None,
    stall_seconds: float = STALL_SECONDS,
    findings: Path | None = None,
) -> Manifest | None:
    """Look at all videos below `folder` that were not looked at before; write the manifest.

    Writes manifest.parquet, skipped.json ({path, reason} for everything that gives no clip and for
    left-out parts) and summary.json into `output_dir`. What was found in a source is kept at once
    in the folder `findings` (default: `looked` in there; several may share one): nothing finished
    is lost when it is killed. None if `stop()` became true before everything was looked at. Raises
    DataError if there is no usable clip; skipped.json then says why.
    """
    require_av()
    sources, skipped = find_sources(folder, leave_out=output_dir)
    looked = Looked(findings or output_dir / LOOKED, config)
    pending = [source for source in sources if not looked.knows(source)]
    state = Progress(len(sources), len(sources) - len(pending))
    failures: dict[str, str] = {}
    events = run_isolated(
        work,
        [LookTask(source, config, looked.folder) for source in pending],
        workers,
        stall_seconds=stall_seconds,
        stop=stop,
    )
    for event in _followed(events, pending, state, progress):
        if failure := event.failure or event.result.get("failure"):
            failures[pending[event.task].name] = failure
        looked.flush_sometimes()
    if state.looked_at < len(pending):
        return None
    return _write(Path(folder), sources, skipped, failures, looked, output_dir)


def _followed(
    events: Iterable[Event],
    pending: list[Source],
    state: Progress,
    progress: Callable[[Progress], None],
) -> Iterator[Event]:
    """The final events; every event moves the progress on."""
    state.total_bytes = sum(source.size for source in pending)
    shares: dict[int, float] = {}
    progress(state)
    for event in events:
        size = pending[event.task].size
        state.done_bytes += size * (event.share - shares.pop(event.task, 0.0))
        if event.final:
            state.looked_at += 1
            state.clips += (event.result or {}).get("clips", 0)
            yield event
        else:
            shares[event.task] = event.share
        progress(state)


def _write(
    folder: Path,
    sources: list[Source],
    skipped: list[Skipped],
    failures: dict[str, str],
    looked: Looked,
    output_dir: Path,
) -> Manifest:
    skipped = list(skipped)
    totals = _Totals()
    rows = _rows(sources, failures, looked, skipped, totals)
    manifest = write_manifest(output_dir / MANIFEST, rows, folder)
    skipped.sort(key=lambda s: s.path)
    write_json(output_dir / SKIPPED, [asdict(s) for s in skipped])
    if not len(manifest):
        (output_dir / MANIFEST).unlink()
        raise DataError(f"videos={str(folder)!r}: no usable clip: {summary(skipped)}")
    write_json(
        output_dir / SUMMARY,
        {
            "clips": len(manifest),
            "fingerprint": manifest.fingerprint,
            "sources": len(sources),
            **vars(totals),
            "skipped": counts_by_kind(skipped),
            "settings": asdict(looked.config),
        },
    )
    return manifest


@dataclass
class _Totals:
    sources_with_clips: int = 0
    seconds: float = 0.0
    frames: int = 0
    places: Counter[str] = field(default_factory=Counter)


def _rows(
    sources: list[Source],
    failures: dict[str, str],
    looked: Looked,
    skipped: list[Skipped],
    totals: _Totals,
) -> Iterator[ManifestClip]:
    """The clips of all sources; the reasons of what gives none are appended to `skipped`."""
    first_with: dict[str, str] = {}
    for source in sources:
        known = looked.known(source)
        if known is None:
            reason = failures.get(source.name, "findings lost (start again)")
            skipped.append(Skipped(source.name, reason))
            continue
        findings = known.findings
        totals.seconds += findings.seconds
        totals.frames += findings.frames
        totals.places.update(findings.places)
        skipped += [Skipped(source.name, reason) for reason in findings.reasons]
        if not findings.clips:
            continue
        original = first_with.setdefault(known.fingerprint, source.name)
        if original != source.name:
            skipped.append(Skipped(source.name, f"same content as another (as {original})"))
            continue
        totals.sources_with_clips += 1
        yield from findings.rows(source, known.fingerprint)
