"""What identifies the files that a run starts from: their content, noted beside their paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.recorded import POOLS
from flow3r.config import require, to_mapping
from flow3r.errors import ConfigError

TEACHER = "teacher"


def identify(config: dict[str, Any], overrides: list[str]) -> None:
    """Note the content of weights and videos in a composed config."""
    _identify_initial_weights(config["initialisation"])
    data = config["data"]
    several = (data.get("unlabelled_sources") or {}).values()
    for videos in [data.get("videos"), *(source.get("videos") for source in several)]:
        if videos:
            _choose_video_teacher(videos, config[TEACHER], overrides)
            _identify_videos(videos)
    _identify_recorded(data)
    for teacher in _teachers(data):
        _identify_teacher_weights(teacher["settings"])


def _identify_initial_weights(initialisation: dict[str, Any]) -> None:
    if initialisation.get("weights"):
        from flow3r.teachers.learned import weights_content

        path = Path(initialisation["weights"])
        if not path.is_file():
            raise ConfigError(f"initialisation.weights={str(path)!r}: no such file")
        initialisation["content"] = weights_content(path)


def _identify_recorded(data: dict[str, Any]) -> None:
    """A download is identified by the names and sizes of its files."""
    if not data.get("recorded"):
        return
    from flow3r.data.datasets.registry import open_dataset

    for pool in POOLS:
        for config in (data["recorded"].get(pool) or {}).values():
            names = [config.get(name, "") for name in ("dataset", "folder")]
            config["content"] = open_dataset(*names, config.get("settings")).fingerprint()
            if config.get("flow"):
                _identify_teacher_weights(config["flow"].setdefault("settings", {}))


def _choose_video_teacher(
    videos: dict[str, Any], teacher: dict[str, Any], overrides: list[str]
) -> None:
    """`teacher=` on the command line is for the videos too; a profile's default is not, since it
    needs the truth. Settings are written out: labels are found by all of them.
    """
    from flow3r.teachers.registry import make_teacher

    if any(o.lstrip("+").partition("=")[0].split(".")[0] == TEACHER for o in overrides):
        videos[TEACHER] = {"name": teacher["name"], "settings": dict(teacher["settings"])}
    given = videos[TEACHER]["settings"]
    made = make_teacher(videos[TEACHER]["name"], given)
    if hasattr(made, "config"):
        written_out = to_mapping(made.config)
        # Which device is for each labelling process to know, unless it is told.
        unsaid = {"device"} - set(given)
        videos[TEACHER]["settings"] = {k: v for k, v in written_out.items() if k not in unsaid}


def _identify_videos(videos: dict[str, Any]) -> None:
    """A folder is identified by the names and contents of its files, a manifest by its rows."""
    if bool(videos["folder"]) == bool(videos["manifest"]):
        return  # the spec says what is wrong
    if not videos["manifest"]:
        from flow3r.data.video.sources import folder_content

        videos["content"] = folder_content(videos["folder"])
        return
    from flow3r.data.video.manifest import read_manifest

    manifest = read_manifest(Path(videos["manifest"]))
    videos["ingest"] = None
    videos["content"] = manifest.fingerprint
    require(len(manifest) > 0, f"data.videos.manifest={videos['manifest']!r} has no clips")
    frames = len(manifest.clip(0).clip_positions)
    require(
        frames == videos["frames"],
        f"data.videos.manifest={videos['manifest']!r} has clips of {frames} frames, the run needs "
        f"{videos['frames']} (size.frames): prepare it with frames={videos['frames']}",
    )


def _teachers(value: Any) -> Iterator[dict[str, Any]]:
    """Every teacher's config below a value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == TEACHER and inner:
                yield inner
            else:
                yield from _teachers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _teachers(inner)


def _identify_teacher_weights(settings: dict[str, Any]) -> None:
    """A file of weights by what it holds; the name of a model on a hub stays a name."""
    from flow3r.teachers.learned import weights_content

    path = Path(settings.get("weights") or "")
    if path.is_file():
        settings["content"] = weights_content(path)
