import numpy as np
import pytest
import torch

from flow3r.data.scenes import Frame, Scene
from flow3r.errors import DataError
from flow3r.evaluation.protocols.loading import (
    input_images,
    protocol_frames,
    protocol_scenes,
    scene_truth,
)
from flow3r.evaluation.protocols.protocol import FrameChoice, PointRules, SizeRule
from flow3r.evaluation.protocols.score import score_scene
from flow3r.evaluation.sequence import SequencePrediction
from flow3r.geometry.camera import unproject

SMALL = SizeRule(28, 14)


def recorded(poses, height=24, width=32, depth_size=(24, 32)):
    """Frames that see the plane z = 4 of the world, cameras facing it."""
    intrinsics = np.array([[30.0, 0, (width - 1) / 2], [0, 30.0, (height - 1) / 2], [0, 0, 1]])
    rng = np.random.default_rng(0)
    frames = []
    for index, pose in enumerate(poses):
        depth = np.full(depth_size, 4.0 if pose is None else 4.0 - pose[2, 3], np.float32)
        image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        frames.append(Frame(f"{index:03d}", image, depth, intrinsics, pose))
    return Scene("room/one", tuple(frames), False, True)


def straight(count):
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, 3] = np.random.default_rng(1).normal(size=(count, 3)) * 0.3
    return list(poses)


@pytest.mark.parametrize(
    "size",
    [SMALL, SizeRule(28, 14, fit="stretch"), SizeRule(28, 14, fit="stretch", compare="original")],
    ids=["cover", "stretch", "original"],
)
@pytest.mark.parametrize("depth_size", [(24, 32), (48, 64)])
def test_the_truth_of_a_plane_is_on_the_plane(lab, size, depth_size):
    scene = recorded(straight(4), depth_size=depth_size)
    protocol = lab.protocol(size=size)
    frames = protocol_frames(protocol, scene)
    truth = scene_truth(protocol, scene, frames)
    if size.compare == "input":
        assert truth.depth.shape == input_images(protocol, frames).shape[:3] == (4, 28, 28)
    else:
        assert truth.depth.shape == (4, *depth_size)
    points = _world(truth)
    np.testing.assert_allclose(points[..., 2], 4.0, atol=1e-5)
    # Border to border: the outermost rays are half a pixel from the picture's edge.
    if size.fit == "stretch":
        left = (-0.5 - 15.5 + 0.5 * 32 / truth.depth.shape[2]) / 30.0
        local = points[0, 0, 0] - truth.world_from_camera[0, :3, 3]
        assert local[0] / local[2] == pytest.approx(left, abs=1e-6)
    record = score_scene(protocol, truth, _perfect(truth))
    assert record["metrics"]["f_score_5"] == 100.0


def test_frames_without_a_pose_are_left_out_where_poses_are_compared(lab):
    poses = straight(6)
    poses[2] = None
    scene = recorded(poses)
    protocol = lab.protocol(size=SMALL, frames=FrameChoice(step=2))
    assert [f.name for f in protocol_frames(protocol, scene)] == ["000", "004"]
    depth = lab.protocol(lab.depth_metrics, family="depth", size=SMALL, frames=FrameChoice(step=2))
    frames = protocol_frames(depth, scene)
    assert [f.name for f in frames] == ["000", "002", "004"]
    truth = scene_truth(depth, scene, frames)
    assert truth.world_from_camera is None
    assert truth.depth.shape[0] == 3


def test_scenes_with_a_lost_camera_are_left_out(lab):
    poses = straight(3)
    poses[1][0, 3] = 2e5
    protocol = lab.protocol(size=SMALL, frames=FrameChoice(farthest=1e5))
    assert protocol_frames(protocol, recorded(poses)) == ()
    assert len(protocol_frames(protocol, recorded(straight(3)))) == 3
    assert len(protocol_frames(lab.protocol(size=SMALL), recorded(poses))) == 3


def test_frames_and_scenes_without_depth(lab):
    scene = recorded(straight(3))
    first = scene.frames[0]
    blind = Frame("000", first.image_source, None, first.intrinsics_source, first.pose_source)
    protocol = lab.protocol(size=SMALL, points=PointRules())
    truth = scene_truth(protocol, scene, (blind, *scene.frames[1:]))
    assert (truth.depth[0] == 0).all()
    assert (truth.depth[1:] > 0).all()
    truth = scene_truth(protocol, scene, (blind,))
    assert truth.depth is None
    uncalibrated = Frame("000", first.image_source, first.depth_source, None, first.pose_source)
    assert scene_truth(protocol, scene, (uncalibrated,)).depth is None


def test_scenes_of_a_benchmark(lab):
    names = ["c", "a", "b"]
    assert protocol_scenes(lab.protocol(), names) == names
    assert protocol_scenes(lab.protocol(scenes=("b", "c")), names) == ["c", "b"]
    listed = FrameChoice(rule="listed", listed={"a": (0,)})
    assert protocol_scenes(lab.protocol(frames=listed), names) == ["a"]
    with pytest.raises(DataError, match="'d'"):
        protocol_scenes(lab.protocol(scenes=("a", "d")), names)


def test_pictures_of_different_sizes_are_refused(lab):
    wide = recorded(straight(1)).frames + recorded(straight(1), 48, 32, (48, 32)).frames
    protocol = lab.protocol(size=SMALL)
    with pytest.raises(DataError, match="different sizes"):
        input_images(protocol, wide)
    with pytest.raises(DataError, match="different sizes"):
        scene_truth(protocol, recorded(straight(1)), wide)


def _world(truth):
    local = unproject(
        torch.from_numpy(truth.depth).double(), torch.from_numpy(truth.intrinsics)
    ).numpy()
    rotation = truth.world_from_camera[:, :3, :3]
    centre = truth.world_from_camera[:, None, None, :3, 3]
    return np.einsum("nij,nhwj->nhwi", rotation, local) + centre


def _perfect(truth):
    points = _world(truth).astype(np.float32)
    return SequencePrediction(
        truth.scene, truth.frames, truth.world_from_camera, world_points=points
    )
