"""Predictions of sequences as files: ours, and those that others write."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flow3r.errors import DataError
from flow3r.evaluation.prediction_files import (
    absent_sequences,
    exported_fingerprint,
    read_prediction,
    write_prediction,
)
from flow3r.evaluation.sequence import SequencePrediction

NAMES = ("b.1", "b.2", "a.3")
FINGERPRINT = {"model": "0123", "input": "4567", "precision": "float32"}


def make_prediction(seed=0, frames=NAMES, size=(5, 7)):
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (len(frames), 1, 1))
    poses[:, :3, :3] = Rotation.random(len(frames), random_state=seed).as_matrix()
    poses[:, :3, 3] = rng.normal(size=(len(frames), 3))
    points = rng.normal(size=(len(frames), *size, 3)).astype(np.float32)
    points[..., 2] = rng.uniform(0.3, 30.0, points.shape[:-1])
    confidence = rng.uniform(size=points.shape[:-1]).astype(np.float32)
    return SequencePrediction("room/one", frames, poses, points, None, confidence)


@pytest.fixture
def prediction():
    return make_prediction()


def test_an_export_comes_back_within_its_steps(prediction, tmp_path):
    assert exported_fingerprint(tmp_path, "room/one") is None
    write_prediction(tmp_path, prediction, [0.0, 0.5, 1.0], FINGERPRINT)
    assert exported_fingerprint(tmp_path, "room/one") == FINGERPRINT
    found = read_prediction(tmp_path, "room/one", NAMES)
    assert found.frames == NAMES
    np.testing.assert_array_equal(found.world_from_camera, prediction.world_from_camera)
    depth = prediction.local_points[..., 2:]
    np.testing.assert_allclose(found.local_points[..., 2:], depth, rtol=0.6 / 4096)
    rays = prediction.local_points[..., :2] / depth
    np.testing.assert_allclose(
        found.local_points[..., :2] / found.local_points[..., 2:], rays, atol=0.6 / 4096
    )
    np.testing.assert_allclose(found.confidence, prediction.confidence, atol=0.6 / 255)


def test_exporting_what_was_read_changes_nothing(prediction, tmp_path):
    write_prediction(tmp_path / "a", prediction, range(3), FINGERPRINT)
    first = read_prediction(tmp_path / "a", "room/one", NAMES)
    write_prediction(tmp_path / "b", first, range(3), FINGERPRINT)
    second = read_prediction(tmp_path / "b", "room/one", NAMES)
    np.testing.assert_allclose(second.local_points, first.local_points, rtol=1e-6)


def test_the_poses_as_text_are_those_of_the_array(prediction, tmp_path):
    write_prediction(tmp_path, prediction, [0.0, 0.5, 1.0], FINGERPRINT)
    (tmp_path / "room/one/points.npz").unlink()
    found = read_prediction(tmp_path, "room/one", NAMES)
    np.testing.assert_allclose(found.world_from_camera, prediction.world_from_camera, atol=1e-7)
    assert found.local_points is None
    assert found.points() is None


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("kind", ["local_points", "world_points"])
def test_what_others_write_is_read(prediction, kind, dtype, tmp_path):
    folder = tmp_path / "room/one"
    folder.mkdir(parents=True)
    points = prediction.local_points if kind == "local_points" else prediction.points()
    np.savez(folder / "points.npz", **{kind: points.astype(dtype)})
    np.save(folder / "poses.npy", prediction.world_from_camera[:, :3])
    found = read_prediction(tmp_path, "room/one", NAMES)
    tolerance = (
        {"rtol": 2e-3, "atol": 2e-2} if dtype == np.float16 else {"rtol": 1e-5, "atol": 1e-5}
    )
    np.testing.assert_allclose(found.points(), prediction.points(), **tolerance)
    np.testing.assert_allclose(found.depth(), prediction.depth(), **tolerance)


def test_named_frames_may_come_in_any_order(prediction, tmp_path):
    folder = tmp_path / "room/one"
    folder.mkdir(parents=True)
    order = [2, 0, 1]
    np.savez(
        folder / "points.npz",
        names=np.array(NAMES)[order],
        local_points=prediction.local_points[order],
        world_from_camera=prediction.world_from_camera[order],
    )
    found = read_prediction(tmp_path, "room/one", NAMES)
    np.testing.assert_array_equal(found.local_points, prediction.local_points)
    np.testing.assert_array_equal(found.world_from_camera, prediction.world_from_camera)


def test_points_alone_are_a_prediction(prediction, tmp_path):
    folder = tmp_path / "room/one"
    folder.mkdir(parents=True)
    np.savez(folder / "points.npz", world_points=prediction.points().astype(np.float32))
    found = read_prediction(tmp_path, "room/one", NAMES)
    assert found.world_from_camera is None
    assert found.depth() is None
    assert found.points().shape == (3, 5, 7, 3)


POSES = make_prediction().world_from_camera
POINTS = make_prediction().local_points


def _with(array, index, value):
    changed = array.copy()
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("arrays", "poses", "message"),
    [
        ({}, None, "no prediction; expected poses.txt or poses.npy, points.npz, or both"),
        ({"pts": POINTS}, POSES, "unknown array 'pts'; valid names are"),
        ({"local_points": POINTS[:2]}, POSES, "2 local_points for 3 frames of the benchmark"),
        ({"local_points": POINTS}, POSES[:2], "2 poses for 3 frames of the benchmark"),
        ({"names": NAMES[:2], "local_points": POINTS[:2]}, POSES[:2], "2 frames are predicted"),
        ({"names": ("b.1", "b.2", "x"), "local_points": POINTS}, POSES, "frame 'a.3' is not pred"),
        ({"names": ("b.1", "b.1", "a.3"), "local_points": POINTS}, POSES, "occurs twice"),
        ({"local_points": POINTS[..., :2]}, POSES, r"shape \(3, 5, 7, 2\), not \(3, 5, 7, 3\)"),
        ({"local_points": POINTS.astype(int)}, POSES, "is int64; expected float16 or float32"),
        ({"local_points": _with(POINTS, (1, 0, 0), np.nan)}, POSES, "1 of 3 frames, the first is"),
        ({"local_points": POINTS}, _with(POSES, (2, 0, 0), np.inf), "first is a.3"),
        ({"local_points": POINTS}, _with(POSES, (2, 0, 0), 3.0), "frame a.3 is no rotation"),
        ({"local_points": POINTS}, POSES[..., :2], "expected floats"),
        ({"log_depth": POINTS[..., 0]}, POSES, "without the rest of"),
    ],
)  # fmt: skip
def test_mistakes_are_named(arrays, poses, message, tmp_path):
    folder = tmp_path / "room/one"
    folder.mkdir(parents=True)
    if arrays:
        np.savez(folder / "points.npz", **arrays)
    if poses is not None:
        np.save(folder / "poses.npy", poses)
    with pytest.raises(DataError, match=message):
        read_prediction(tmp_path, "room/one", NAMES)


def test_a_file_that_is_cut_off_is_named(prediction, tmp_path):
    write_prediction(tmp_path, prediction, range(3), FINGERPRINT)
    path = tmp_path / "room/one/points.npz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"points\.npz"):
        read_prediction(tmp_path, "room/one", NAMES)


def test_a_name_cannot_leave_the_folder(prediction, tmp_path):
    for name in ("../elsewhere", "/tmp/elsewhere", ""):
        with pytest.raises(DataError, match="cannot name a folder"):
            read_prediction(tmp_path, name, NAMES)


def test_absent_sequences_are_listed(prediction, tmp_path):
    write_prediction(tmp_path, prediction, range(3), FINGERPRINT)
    assert absent_sequences(tmp_path, ["room/one", "room/two"]) == ["room/two"]


def test_points_behind_the_camera_are_no_export(prediction, tmp_path):
    points = prediction.local_points.copy()
    points[1, 2, 3, 2] = -1.0
    behind = SequencePrediction("room/one", NAMES, prediction.world_from_camera, points)
    with pytest.raises(DataError, match="behind their camera"):
        write_prediction(tmp_path, behind, range(3), FINGERPRINT)


def test_a_prediction_needs_poses_or_points():
    with pytest.raises(DataError, match="neither poses nor points"):
        SequencePrediction("room/one", NAMES)
