"""Settings of the generated world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flow3r.config import require, require_choice
from flow3r.data.world.domains import DOMAINS

Range = tuple[float, float]


@dataclass(frozen=True)
class WorldConfig:
    """What a generated clip looks like. Lengths in metres, angles in degrees.

    The defaults are the study's target domain; `world_config(domain)` gives each domain's.
    """

    domain: str = "target"
    dynamic: bool = False
    """Whether several objects move rigidly between the frames."""
    frames: int = 2
    height: int = 48
    width: int = 48
    field_of_view: Range = (55.0, 100.0)
    """Horizontal; one value per clip."""
    baseline: Range = (0.5, 1.3)
    """Distance between consecutive camera centres; rooms have a median depth of about 2.3."""
    yaw: Range = (-28.0, 28.0)
    """Change of heading between consecutive frames."""
    pitch: Range = (-8.0, 8.0)
    roll: Range = (-4.0, 4.0)
    min_covisibility: float = 0.25
    """Least share of a frame's pixels seen in another one, for frames up to `covisible_span` apart,
    in both orders (measured on a coarse grid)."""
    covisible_span: int = 1
    moving_share: Range = (0.3, 0.5)
    """Share of pixels on moving objects, mean over the frames; dynamic clips only."""
    object_speed: Range = (0.1, 0.45)
    """Distance a moving object travels from one frame to the next."""
    object_turn: Range = (-30.0, 30.0)
    lights: tuple[int, int] = (1, 2)
    """Fewest and most lamps."""
    shadow_lights: int = 1
    """How many of the lamps cast shadows; 0 switches shadows off."""
    supersample: int = 2
    """Colour samples per axis of pixels on edges; 1 leaves edges jagged (textures are filtered
    analytically in any case)."""
    exposure: float = 0.35
    """Largest deviation from the nominal exposure, in stops; one value per clip."""
    exposure_drift: float = 0.05
    """Standard deviation of each frame's exposure about the clip's, in stops."""
    white_balance: float = 0.04
    """Standard deviation of the log gain of red and blue."""
    noise: float = 0.01
    """Standard deviation of sensor noise at mid grey."""
    vignetting: float = 0.0
    """Relative loss of light in the corners."""

    def __post_init__(self) -> None:
        require_choice("domain", self.domain, DOMAINS)
        require(self.frames >= 1, f"frames={self.frames} must be at least 1")
        for name in ("height", "width"):
            value = getattr(self, name)
            require(8 <= value <= 1024, f"{name}={value} must lie in 8 ... 1024")
        for name in ("field_of_view", "baseline", "moving_share", "object_speed"):
            low, high = getattr(self, name)
            require(0 < low <= high, f"{name}={(low, high)} must be 0 < low <= high")
        for name in ("yaw", "pitch", "roll", "object_turn"):
            low, high = getattr(self, name)
            require(low <= high, f"{name}={(low, high)} must be low <= high")
        require(
            self.field_of_view[1] <= 130, f"field_of_view={self.field_of_view} must stay below 130"
        )
        require(
            self.moving_share[1] <= 0.9, f"moving_share={self.moving_share} must stay below 0.9"
        )
        require(
            0 <= self.min_covisibility < 0.95,
            f"min_covisibility={self.min_covisibility} must lie in 0 ... 0.95",
        )
        require(self.covisible_span >= 1, f"covisible_span={self.covisible_span} must be >= 1")
        require(
            1 <= self.lights[0] <= self.lights[1] <= 4,
            f"lights={self.lights} must be 1 <= fewest <= most <= 4",
        )
        require(self.shadow_lights >= 0, f"shadow_lights={self.shadow_lights} must be >= 0")
        require_choice("supersample", self.supersample, (1, 2, 3, 4))
        for name in ("exposure", "exposure_drift", "white_balance", "noise", "vignetting"):
            value = getattr(self, name)
            require(0 <= value <= 2, f"{name}={value} must lie in 0 ... 2")


def world_config(domain: str, **overrides: Any) -> WorldConfig:
    """The defaults of a domain, with overrides by name.

    Source domains are static, with a narrower field of view and a clean, evenly exposed sensor.
    """
    values: dict[str, Any] = {"domain": domain}
    if domain.startswith("source"):
        values |= {"field_of_view": (60.0, 90.0), "exposure": 0.15, "exposure_drift": 0.0}
        values |= {"covisible_span": 2}
        values |= {"white_balance": 0.0, "noise": 0.0}
    return WorldConfig(**(values | overrides))
