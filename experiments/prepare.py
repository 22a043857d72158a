"""Find the clips in a folder of videos."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_script, split_arguments  # noqa: E402

if TYPE_CHECKING:
    from flow3r.data.video.config import IngestConfig
    from flow3r.data.video.ingest import Progress

HELP = """
Find the clips in a folder of videos.

  python experiments/prepare.py videos=/path/to/videos output_dir=clips
  python experiments/prepare.py videos=/path/to/videos output_dir=clips workers=16 gap_seconds=0.1

Looks at every video file below the folder, and at every image sequence (pictures of a folder whose
names differ in their number), and writes into output_dir
  manifest.parquet   the clips: what to decode, and how much it moves
  skipped.json       a list of {path, reason}: sources and parts of them that give no clip
  summary.json       the counts, the fingerprint and the settings
  looked/            what was found in each source. The next run looks at new sources only, whatever
                     stopped this one.

  videos=FOLDER        required; or one video file
  output_dir=FOLDER    required
  workers=INTEGER      processes (default: one per processor core)
  stall_seconds=120    a source whose decoder is silent for so long is given up

Settings, with their defaults:
  frames=4             per clip
  gap_seconds=0.2      between successive frames of a clip; slower videos give successive frames
  spacing_seconds=0.5  between the starts of successive clips of a shot
  chain_steps=3        frames per gap that a teacher may chain over
  max_seconds=null     use only the beginning of longer videos
  image_rate=30        frames per second of image sequences
  min_side=32          pixels; smaller pictures are left out
  min_motion=0.01      static below: first to last frame, share of the short side ...
  motion_quantile=0.9  ... of this quantile of the pixels
  min_overlap=0.3      too fast below: share of pixels found again from a frame to the next
  min_brightness=0.03  black below (0 to 1)
  min_contrast=0.02    blank below (standard deviation, 0 to 1)
  cut_ratio=3          a shot begins where content changes so many times more than around it ...
  cut_content=15       ... and by at least so much (hue, saturation, value; 0 to 255)
"""

OWN = ("videos", "output_dir", "workers", "stall_seconds")
LINE_SECONDS = 10.0
TERMINAL_SECONDS = 0.5


def main(arguments: list[str]) -> int:
    """Look, write and print the counts."""
    own, rest = split_arguments(arguments, OWN)
    from flow3r.config import require
    from flow3r.data.video.ingest import LOOKED, MANIFEST, SKIPPED, STALL_SECONDS, ingest

    for name in ("videos", "output_dir"):
        require(bool(own.get(name)), f"{name}= is required; see --help")
    workers = _number("workers", own.get("workers", str(os.cpu_count() or 1)), int)
    stall = _number("stall_seconds", own.get("stall_seconds", str(STALL_SECONDS)), float)
    output_dir = Path(own["output_dir"])
    config = settings(rest)
    try:
        manifest = ingest(
            own["videos"],
            config,
            output_dir,
            workers,
            progress=_Display(sys.stderr),
            stall_seconds=stall,
        )
    except KeyboardInterrupt:
        print(f"\nstopped; what was found is kept in {output_dir / LOOKED}", file=sys.stderr)
        return 130
    assert manifest is not None, "nothing asked it to stop"
    print_summary(output_dir)
    print(f"manifest: {output_dir / MANIFEST}, reasons: {output_dir / SKIPPED}")
    return 0


def settings(words: list[str]) -> IngestConfig:
    """The settings given as name=value; ConfigError for an unknown name or a wrong value."""
    import yaml

    from flow3r.config import from_mapping
    from flow3r.data.video.config import IngestConfig
    from flow3r.errors import ConfigError

    values: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"{word!r}: not a value") from None
    return from_mapping(IngestConfig, values)


def print_summary(output_dir: Path) -> None:
    """The counts of the run, from summary.json."""
    from flow3r.data.video.ingest import SUMMARY
    from flow3r.files import read_json

    found = read_json(output_dir / SUMMARY)
    print(
        f"{found['clips']} clips from {found['sources_with_clips']} of {found['sources']} sources "
        f"({found['seconds']:.1f} s, {found['frames']} frames), fingerprint {found['fingerprint']}"
    )
    for title, counts in (("skipped", "skipped"), ("parts left out", "places")):
        if found[counts]:
            text = ", ".join(f"{count} {kind}" for kind, count in found[counts].items())
            print(f"{title}: {text}")


def _number(name: str, text: str, kind: type) -> Any:
    from flow3r.config import require

    try:
        value = kind(text)
    except ValueError:
        value = 0
    require(0 < value < 1e9, f"{name}={text!r}: must be a number > 0")
    return value


class _Display:
    """Progress as lines that replace each other in a terminal, as rare lines elsewhere."""

    def __init__(self, output: Any) -> None:
        self.output, self.terminal = output, output.isatty()
        self.shown = -1e9

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        to_do = progress.sources - progress.known
        done = progress.looked_at == to_do
        if now - self.shown < (TERMINAL_SECONDS if self.terminal else LINE_SECONDS) and not done:
            return
        self.shown = now
        text = (
            f"{progress.looked_at}/{to_do} new sources ({progress.known} known), "
            f"{progress.clips} new clips, {_duration(progress.elapsed_seconds)} gone, "
            f"{_remaining(progress, done)}"
        )
        end = "\n" if done or not self.terminal else ""
        lead = "\r\x1b[K" if self.terminal else ""
        print(lead + text, end=end, file=self.output, flush=True)


def _remaining(progress: Progress, done: bool) -> str:
    if done:
        return "done"
    seconds = progress.remaining_seconds
    return "time left not known yet" if seconds is None else f"about {_duration(seconds)} left"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


if __name__ == "__main__":
    run_script(main, HELP)
