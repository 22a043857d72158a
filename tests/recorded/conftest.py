"""A dataset in memory whose frames come out of the generated world, so that its truth is exact."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from flow3r.config import require_choice
from flow3r.data.scenes import Frame, Scene
from flow3r.data.world import generate_clips, world_config

SIZE = (48, 64)
FRAMES = 8


@dataclass
class MemoryDataset:
    """What `flow3r.data.scenes.Dataset` asks for."""

    content: dict[str, Scene]
    name: str = "memory"
    path: Path = Path("memory")
    settings: dict = field(default_factory=dict)
    splits: tuple[str, ...] = ("all",)

    def scenes(self, split: str) -> list[str]:
        require_choice("split", split, self.splits)
        return list(self.content)

    def scene(self, name: str) -> Scene:
        return self.content[name]

    def fingerprint(self) -> str:
        return "0" * 16


def scene_of(clip, name: str, dynamic: bool = False) -> Scene:
    """The scene that a generated clip is, its world moved and turned."""
    world = np.array([[0, 0, 1, 40.0], [1, 0, 0, -7], [0, 1, 0, 3], [0, 0, 0, 1]])
    images = (clip.images.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    frames = tuple(
        Frame(
            f"{index:04d}",
            images[index],
            clip.depth[index].numpy(),
            clip.intrinsics[index].double().numpy(),
            world @ clip.world_from_camera[index].double().numpy(),
            seconds=0.1 * index,
        )
        for index in range(len(images))
    )
    return Scene(name, frames, dynamic, metric=True)


@pytest.fixture(scope="session")
def clips():
    """Two generated clips of `FRAMES` frames, the camera in slow motion."""
    config = world_config(
        "target",
        frames=FRAMES,
        height=SIZE[0],
        width=SIZE[1],
        noise=0.0,
        supersample=1,
        shadow_lights=0,
        baseline=(0.1, 0.25),
        yaw=(-6.0, 6.0),
        pitch=(-3.0, 3.0),
        roll=(-2.0, 2.0),
    )
    return generate_clips(config, 5, [0, 1])


@pytest.fixture
def dataset(clips):
    """Scenes `a` and `b`."""
    return MemoryDataset({name: scene_of(clip, name) for name, clip in zip("ab", clips)})


@pytest.fixture(scope="session")
def make_scene():
    """scene_of(clip, name, dynamic)."""
    return scene_of
