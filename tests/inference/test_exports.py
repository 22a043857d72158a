"""What is written is what is read back, by trimesh and by numpy alone."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from flow3r.inference.archive import write_archive
from flow3r.inference.frusta import frame_colours, frustum_corners, frustum_depth, frustum_lines
from flow3r.inference.glb import GLTF_FROM_OPENCV, write_glb
from flow3r.inference.ply import write_ply


def test_the_cloud_holds_the_pixels_above_the_threshold(known_result):
    keep = known_result.confidence > 0.3
    assert 0 < keep.sum() < keep.size
    assert len(known_result.points) == keep.sum()
    assert np.array_equal(known_result.points, known_result.world_points[keep])
    assert np.array_equal(known_result.colours, known_result.images[keep])
    assert known_result.point_confidence.min() > 0.3
    assert np.array_equal(np.bincount(known_result.point_frames), keep.sum((1, 2)))


def test_measures(known_result):
    assert known_result.camera_path_length == pytest.approx(2.0)
    # Half of 8 pixels at a focal length of 8, half of 6 at 4.
    expected = np.degrees(2 * np.arctan([4 / 8, 3 / 4]))
    assert known_result.field_of_view == pytest.approx(tuple(expected))


def test_ply_round_trip(known_result, tmp_path):
    path = tmp_path / "a.ply"
    write_ply(path, known_result)
    cloud = trimesh.load(path)
    assert np.array_equal(cloud.vertices.astype(np.float32), known_result.points)
    assert np.array_equal(cloud.colors[:, :3], known_result.colours)
    header, _, body = path.read_bytes().partition(b"end_header\n")
    assert b"format binary_little_endian 1.0" in header
    raw = np.frombuffer(body, np.dtype("<f4,<f4,<f4,u1,u1,u1,<f4,<u2"))
    assert np.array_equal(raw["f6"], known_result.point_confidence)
    assert np.array_equal(raw["f7"], known_result.point_frames)


def test_glb_round_trip_in_gltf_axes(known_result, tmp_path):
    path = tmp_path / "a.glb"
    write_glb(path, known_result)
    scene = trimesh.load(path)
    cloud = scene.geometry["points"]
    # Up is +y and forward is -z in glTF: y and z change their signs.
    expected = known_result.points * [1, -1, -1]
    assert np.array_equal(cloud.vertices.astype(np.float32), expected.astype(np.float32))
    assert np.array_equal(cloud.colors[:, :3], known_result.colours)
    assert set(scene.geometry) == {
        "points", "camera 000", "camera 001", "camera 002", "camera path"
    }  # fmt: skip
    assert np.linalg.det(GLTF_FROM_OPENCV) == 1  # a rotation: nothing is mirrored


def test_glb_by_its_own_structure(known_result, tmp_path):
    """Read without trimesh: points and lines, their coordinates and their colours."""
    path = tmp_path / "a.glb"
    write_glb(path, known_result)
    tree, binary = _read_glb(path)
    meshes = {mesh["name"]: mesh["primitives"][0] for mesh in tree["meshes"]}
    assert meshes["points"]["mode"] == 0
    for index, name in enumerate(("camera 000", "camera 001", "camera 002")):
        assert meshes[name]["mode"] == 1
        position = _accessor(tree, binary, meshes[name]["attributes"]["POSITION"])
        corners = frustum_corners(known_result, frustum_depth(known_result))[index]
        ends = corners[np.array(frustum_lines()).ravel()] * [1, -1, -1]
        assert position == pytest.approx(ends, abs=1e-6)
        colour = _accessor(tree, binary, meshes[name]["attributes"]["COLOR_0"])
        assert (colour[:, :3] == frame_colours(3)[index]).all()
    path_ends = _accessor(tree, binary, meshes["camera path"]["attributes"]["POSITION"])
    assert path_ends == pytest.approx(np.array([[0, 0, 0], [1, 0, 0], [1, 0, 0], [2, 0, 0.0]]))


def _read_glb(path):
    content = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    tree = json.loads(content[20 : 20 + size])
    return tree, content[20 + size + 8 :]


def _accessor(tree, binary, index):
    accessor = tree["accessors"][index]
    view = tree["bufferViews"][accessor["bufferView"]]
    kind = {5126: "<f4", 5121: "u1"}[accessor["componentType"]]
    width = {"VEC3": 3, "VEC4": 4}[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    count = accessor["count"] * width
    return np.frombuffer(binary, kind, count, start).reshape(-1, width)


def test_frusta_pass_through_the_corners_of_the_image(known_result):
    corners = frustum_corners(known_result, 2.0)
    assert corners.shape == (3, 5, 3)
    poses = known_result.world_from_camera
    assert corners[:, 0] == pytest.approx(poses[:, :3, 3])
    local = np.einsum("nij,nkj->nki", np.linalg.inv(poses)[:, :3, :3], corners)
    local = local[:, 1:] - local[:, :1]
    assert local[..., 2] == pytest.approx(np.full((3, 4), 2.0))
    pixels = np.einsum("nij,nkj->nki", known_result.intrinsics, local)
    pixels = pixels[..., :2] / pixels[..., 2:]
    border = np.array([[-0.5, -0.5], [7.5, -0.5], [7.5, 5.5], [-0.5, 5.5]])
    assert pixels == pytest.approx(np.tile(border, (3, 1, 1)), abs=1e-5)
    assert frustum_depth(known_result) == pytest.approx(0.4)


def test_frustum_lines_are_four_rays_and_a_frame():
    lines = frustum_lines()
    assert len(lines) == len(set(map(frozenset, lines))) == 8
    degrees = np.bincount(np.array(lines).ravel())
    assert degrees.tolist() == [4, 3, 3, 3, 3]


def test_frame_colours_differ_and_are_bright():
    colours = frame_colours(16)
    assert len(np.unique(colours, axis=0)) == 16
    assert colours.max(axis=1).min() > 200
    assert frame_colours(1).shape == (1, 3)


def test_nothing_above_the_threshold_still_writes_cameras(known_result, tmp_path):
    empty = replace(known_result, threshold=1.0)
    write_ply(tmp_path / "a.ply", empty)
    write_glb(tmp_path / "a.glb", empty)
    assert b"element vertex 0\n" in (tmp_path / "a.ply").read_bytes()
    assert "points" not in trimesh.load(tmp_path / "a.glb").geometry


def test_archive_needs_no_pickle(known_result, tmp_path):
    write_archive(tmp_path / "a.npz", known_result)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert arrays.pop("names").tolist() == list(known_result.names)
    for name, values in arrays.items():
        assert np.array_equal(values, getattr(known_result, name)), name
    assert {"depth", "world_from_camera", "intrinsics", "flow_px", "confidence"} <= set(arrays)
    write_archive(tmp_path / "b.npz", replace(known_result, flow_px=None))
    with np.load(tmp_path / "b.npz") as file:
        assert "flow_px" not in file.files
