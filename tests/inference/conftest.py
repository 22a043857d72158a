"""A reconstruction whose geometry is known, and pictures on disk."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from flow3r.inference.result import Reconstruction

SIZE = (6, 8)


@pytest.fixture
def known_result() -> Reconstruction:
    """Three cameras, 1 apart along x, the second one turned by 90 degrees about y; depth 4."""
    height, width = SIZE
    generator = np.random.default_rng(0)
    intrinsics = np.array([[8.0, 0, 3.5], [0, 4.0, 2.5], [0, 0, 1]], np.float32)
    poses = np.tile(np.eye(4, dtype=np.float32), (3, 1, 1))
    poses[:, 0, 3] = [0, 1, 2]
    poses[1, :3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    local = 4.0 * np.stack([(x - 3.5) / 8, (y - 2.5) / 4, np.ones_like(x)], axis=-1)
    points = np.einsum("nij,hwj->nhwi", poses[:, :3, :3], local) + poses[:, None, None, :3, 3]
    return Reconstruction(
        names=("a.png", "b.png", "c.png"),
        images=generator.integers(0, 256, (3, height, width, 3), dtype=np.uint8),
        depth=np.full((3, height, width), 4.0, np.float32),
        confidence=generator.random((3, height, width)).astype(np.float32),
        world_points=points.astype(np.float32),
        world_from_camera=poses,
        intrinsics=np.tile(intrinsics, (3, 1, 1)),
        flow_px=generator.normal(size=(2, height, width, 2)).astype(np.float32),
        threshold=0.3,
    )


@pytest.fixture
def save_image(tmp_path):
    """A function: name, RGB array [H, W, 3], saving options -> the path."""

    def save(name: str, picture: np.ndarray, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, **options)
        return path

    return save


@pytest.fixture
def save_video(tmp_path):
    """A function: name, pictures [F, H, W, 3] -> the path of a lossless video at 10 frames a
    second."""
    import av

    def save(name: str, pictures: np.ndarray):
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=10)
            stream.height, stream.width = pictures.shape[1:3]
            stream.pix_fmt = "bgr0"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        return path

    return save
