"""The generated world: textured rooms, ray-cast analytically, with exact geometry and flow."""

from flow3r.data.world.config import WorldConfig, world_config
from flow3r.data.world.domains import DOMAINS, Domain
from flow3r.data.world.generate import GeneratedClip, generate_clip, generate_clips

__all__ = [
    "DOMAINS",
    "Domain",
    "GeneratedClip",
    "WorldConfig",
    "generate_clip",
    "generate_clips",
    "world_config",
]
