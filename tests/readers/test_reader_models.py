"""COLMAP models in text and binary, transforms.json, calibrations."""

import json
import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow3r.data.readers.colmap import read_colmap
from flow3r.data.readers.intrinsics import pinhole, read_intrinsics
from flow3r.data.readers.nerfstudio import read_transforms
from flow3r.data.readers.poses import rigid
from flow3r.errors import DataError

ROTATIONS = Rotation.random(3, rng=np.random.default_rng(2))
POSES = rigid(ROTATIONS.as_matrix(), np.random.default_rng(3).normal(size=(3, 3)))
NAMES = ("b/2.jpg", "a 1.jpg", "c.3")


def _rows():
    """(id, qw qx qy qz tx ty tz, camera, name): world to camera."""
    inverse = np.linalg.inv(POSES)
    for index, name in enumerate(NAMES):
        q = Rotation.from_matrix(inverse[index, :3, :3]).as_quat()
        yield index + 1, [q[3], *q[:3], *inverse[index, :3, 3]], 7, name


def _check(model):
    assert [image.name for image in model.images] == sorted(NAMES)
    for image in model.images:
        expected = POSES[NAMES.index(image.name)]
        np.testing.assert_allclose(image.world_from_camera, expected, atol=1e-12)
    camera = model.cameras[7]
    assert (camera.height, camera.width, camera.lens) == (48, 64, None)
    assert np.array_equal(camera.intrinsics, pinhole(50, 51, 31.5, 23.5))


def test_text_models_with_and_without_observations(tmp_path):
    (tmp_path / "cameras.txt").write_text("# cameras\n7 PINHOLE 64 48 50 51 32 24\n")
    lines = ["# images"]
    for index, (key, pose, camera, name) in enumerate(_rows()):
        lines.append(" ".join([str(key), *(f"{v:.17g}" for v in pose), str(camera), name]))
        lines.append(
            "" if index == 1 else "12.5 33.25 -1 4.5 6.125 22 1 2 3 4 5 6.jpg"[: 30 - index]
        )
    (tmp_path / "images.txt").write_text("\n".join(lines) + "\n")
    _check(read_colmap(tmp_path))


def _binary(folder, cut=0):
    cameras = struct.pack("<QiiQQ4d", 1, 7, 1, 64, 48, 50, 51, 32, 24)
    (folder / "cameras.bin").write_bytes(cameras)
    content = struct.pack("<Q", len(NAMES))
    for index, (key, pose, camera, name) in enumerate(_rows()):
        content += struct.pack("<i7di", key, *pose, camera) + name.encode() + b"\0"
        content += struct.pack("<Q", index) + index * struct.pack("<2dq", 1.5, 2.5, -1)
    (folder / "images.bin").write_bytes(content[: len(content) - cut])


def test_binary_models(tmp_path):
    _binary(tmp_path)
    _check(read_colmap(tmp_path))
    _binary(tmp_path, cut=10)
    with pytest.raises(DataError, match=r"images\.bin: ends after"):
        read_colmap(tmp_path)


@pytest.mark.parametrize(
    ("cameras", "images", "message"),
    [
        ("7 PINHOLE 64 48 50 51 32\n", "", "PINHOLE with 3 parameters"),
        ("7 EQUIRECTANGULAR 64 48 50\n", "", "camera EQUIRECTANGULAR"),
        ("7 PINHOLE 64 48 50 51 32 24\n", "1 1 0 0 0 0 0 0 8 a.jpg\n\n", "names camera 8"),
        ("7 PINHOLE 64 48 50 51 32 24\n", "1 1 0 0 0 0 0 nan 7 a.jpg\n\n", "which is none"),
        ("7 PINHOLE 64 48 50 51 32 24\n", "1 1 0 0 0\n\n", "line 1: '1 1 0 0 0' is not an image"),
        ("7 PINHOLE 64 x 50 51 32 24\n", "", r"cameras\.txt, line 1"),
    ],
)
def test_damaged_models_are_named(tmp_path, cameras, images, message):
    (tmp_path / "cameras.txt").write_text(cameras)
    (tmp_path / "images.txt").write_text(images)
    with pytest.raises(DataError, match=message):
        read_colmap(tmp_path)


def test_transforms_share_or_own_their_intrinsics(tmp_path):
    path = tmp_path / "transforms.json"
    opengl = POSES @ np.diag([1.0, -1, -1, 1])
    frames = [
        {"file_path": f"{i}.png", "transform_matrix": pose.tolist()}
        for i, pose in enumerate(opengl)
    ]
    frames[1] |= {"fl_x": 80.0, "fl_y": 81.0, "cx": 30.0, "cy": 20.0, "depth_file_path": "d1.png"}
    path.write_text(json.dumps({"w": 64, "h": 48, "camera_angle_x": np.pi / 2, "frames": frames}))
    read = read_transforms(path)
    for frame, pose in zip(read, POSES):
        np.testing.assert_allclose(frame.world_from_camera, pose, atol=1e-12)
    np.testing.assert_allclose(read[0].intrinsics, pinhole(32, 32, 31.5, 23.5))
    np.testing.assert_allclose(read[1].intrinsics, pinhole(80, 81, 29.5, 19.5))
    assert (read[0].depth, read[1].depth) == (None, "d1.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ('{"frames": []}', "no list `frames`"),
        ('{"frames": [{"file_path": "a"}]}', "frame 0: needs file_path and transform_matrix"),
        ('{"frames": [{"file_path": "a", "transform_matrix": [[1, 2]]}]}', r"is \[1, 2\], not"),
        (
            '{"frames": [{"file_path": "a", "transform_matrix": [[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}',
            "frame 0: needs fl_x or camera_angle_x",
        ),
    ],
)
def test_damaged_transforms_are_named(tmp_path, content, message):
    path = tmp_path / "transforms.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_transforms(path)


def test_calibrations_in_text(tmp_path):
    path = tmp_path / "k.txt"
    expected = pinhole(500.0, 510, 320, 240)
    for text in (
        "500 510 320 240",
        "500 0 320\n0 510 240\n0 0 1",
        "500 0 320 0\n0 510 240 0\n0 0 1 0\n0 0 0 1",
    ):
        path.write_text(text)
        assert np.array_equal(read_intrinsics(path), expected)
    for text, message in (
        ("500 510", "2 numbers"),
        ("-500 510 320 240", "no pinhole calibration"),
        ("500 0 320 0 510 240 0 0 2", "no pinhole calibration"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_intrinsics(path)
