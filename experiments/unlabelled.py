"""The sources of a run's unlabelled clips, and how many clips come from each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flow3r.data.subset import nested_counts


@dataclass(frozen=True)
class SourceOfRun:
    """One source in a resolved spec: generated clips or videos."""

    generated: dict[str, Any] | None
    videos: dict[str, Any] | None
    clips: int
    share: float | None = None
    """Of the videos' clips, by their names; at most `clips` of them."""


def sources_of(data: dict[str, Any]) -> list[SourceOfRun]:
    """Those that the run takes clips from, in the order of its pool; `data`: resolved.

    Of several sources each gives its part of `unlabelled_clips`, in proportion to what it offers.
    """
    total, share = data["unlabelled_clips"], data.get("unlabelled_share")
    several = data.get("unlabelled_sources")
    if not several:
        videos = data["videos"]
        generated = None if videos else data["unlabelled"]
        return [SourceOfRun(generated, videos, total, share)] if total else []
    counts = nested_counts(total, [source["clips"] for source in several.values()])
    return [
        SourceOfRun(source["generated"], source["videos"], clips, share)
        for source, clips in zip(several.values(), counts)
        if clips
    ]
