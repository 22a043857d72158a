"""Storage, teacher time and bandwidth for a large set of unlabelled videos, as formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from flow3r.config import require
from flow3r.storage.index import ENTRY
from flow3r.storage.records import HEADER_BYTES, KEY_BYTES


@dataclass(frozen=True)
class Inputs:
    """What the estimate starts from; the help of the script says what each is."""

    videos: int = 800_000
    clips_per_video: float = 1.0
    frames: int = 8
    size: int = 224
    pairs: int = 56
    pairs_used: int = 8
    frame_bytes: float = 1.46
    label_bytes: float = 1.0
    record_bytes: int = HEADER_BYTES + ENTRY.itemsize + KEY_BYTES
    """Besides its content: header, entry of the index, key in the list of clips."""
    teacher_ms: float = 50.0
    devices: int = 8
    decode_ms: float = 400.0
    video_megabytes: float = 5.0
    clips_per_second: float = 32.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            require(value > 0, f"{name}={value} must be positive")
        most = self.frames * (self.frames - 1)
        require(self.pairs <= most, f"pairs={self.pairs}: {self.frames} frames have {most} pairs")
        require(
            self.pairs_used <= self.pairs,
            f"pairs_used={self.pairs_used} must not exceed pairs={self.pairs}",
        )


@dataclass(frozen=True)
class Quantity:
    """One line of the estimate."""

    unit: str
    formula: str
    value: Callable[[Inputs], float]


def _clips(i: Inputs) -> float:
    return i.videos * i.clips_per_video


def _frames_bytes(i: Inputs) -> float:
    return i.frames * i.size**2 * i.frame_bytes + i.record_bytes


def _label_bytes(i: Inputs) -> float:
    return i.size**2 * i.label_bytes + i.record_bytes


def _store_bytes(i: Inputs) -> float:
    return _clips(i) * (_frames_bytes(i) + i.pairs * _label_bytes(i))


def _label_hours(i: Inputs) -> float:
    return _clips(i) * i.pairs * i.teacher_ms / 3.6e6


def _decode_hours(i: Inputs) -> float:
    return _clips(i) * i.decode_ms / 3.6e6


def _read_rate(i: Inputs) -> float:
    return i.clips_per_second * (_frames_bytes(i) + i.pairs_used * _label_bytes(i))


QUANTITIES = {
    "clips": Quantity("", "videos * clips_per_video", _clips),
    "labels": Quantity("", "clips * pairs", lambda i: _clips(i) * i.pairs),
    "bytes of a clip's frames": Quantity(
        "B", "frames * size^2 * frame_bytes + record_bytes", _frames_bytes
    ),
    "bytes of a label": Quantity("B", "size^2 * label_bytes + record_bytes", _label_bytes),
    "store": Quantity(
        "TB",
        "clips * (bytes of a clip's frames + pairs * bytes of a label) / 10^12",
        lambda i: _store_bytes(i) / 1e12,
    ),
    "videos as they come": Quantity(
        "TB", "videos * video_megabytes / 10^6", lambda i: i.videos * i.video_megabytes / 1e6
    ),
    "teacher": Quantity("device hours", "clips * pairs * teacher_ms / 3.6e6", _label_hours),
    "decoding": Quantity("core hours", "clips * decode_ms / 3.6e6", _decode_hours),
    "labelling": Quantity("hours", "teacher / devices", lambda i: _label_hours(i) / i.devices),
    "cores that keep the teachers fed": Quantity(
        "", "decoding / labelling", lambda i: _decode_hours(i) / _label_hours(i) * i.devices
    ),
    "writing while labelling": Quantity(
        "MB/s",
        "store / labelling",
        lambda i: _store_bytes(i) / 1e6 / (_label_hours(i) / i.devices * 3600),
    ),
    "reading while training": Quantity(
        "MB/s",
        "clips_per_second * (bytes of a clip's frames + pairs_used * bytes of a label)",
        lambda i: _read_rate(i) / 1e6,
    ),
    "epoch": Quantity(
        "hours",
        "clips / clips_per_second / 3600",
        lambda i: _clips(i) / i.clips_per_second / 3600,
    ),
}


def estimate(inputs: Inputs) -> dict[str, float]:
    """Every quantity in its unit."""
    return {name: quantity.value(inputs) for name, quantity in QUANTITIES.items()}
