"""Every layout, written by the generated world, gives back what was put in, within its precision.

The writers (layouts/) encode the truth by formulas of their own. Lengths are compared in the
dataset's unit; the world frame is the dataset's own, so poses are compared relative to the first.
"""

from __future__ import annotations

import numpy as np
import pytest

from flow3r.data.datasets.registry import MODULES, open_dataset

VARIANTS = {
    "seven_scenes": ("projected", "sensor"),
    "scannet": ("export", "selection"),
    "scannetpp": ("dslr", "iphone"),
    "nrgbd": ("focal file", "published focal"),
    "co3d": ("original", "older NDC", "re-annotated", "OpenCV"),
    "sintel": ("final", "clean"),
    "bonn": ("download", "selection"),
    "tum_dynamics": ("download", "selection"),
    "kitti": ("selected", "gathered"),
    "omniworld": ("scene", "download"),
    "tartanair": ("V1", "V2"),
    "rgbd_folder": ("defaults", "OpenGL", "disparity", "pictures"),
    "colmap": ("text", "binary"),
    "nerfstudio": ("depth", "splits"),
}
ALL = [(module, variant) for module, variants in VARIANTS.items() for variant in variants]


@pytest.fixture
def opened(layouts, make_clip, tmp_path):
    """A function: module of a layout, variant -> what was written, and the opened dataset."""

    def write(module: str, variant: str):
        layout = layouts(module)
        written = layout.VARIANTS[variant](tmp_path, make_clip())
        return written, open_dataset(layout.NAME, tmp_path, written.settings)

    return write


def relative(poses):
    """To the first camera's axes."""
    return [None if pose is None else np.linalg.solve(poses[0], pose) for pose in poses]


def test_every_dataset_has_layouts_and_every_layout_is_tested(layouts):
    assert set(VARIANTS) == set(MODULES.values())
    for module, variants in VARIANTS.items():
        assert tuple(layouts(module).VARIANTS) == variants
        assert layouts(module).DAMAGES


@pytest.mark.parametrize(("module", "variant"), ALL)
def test_frames_come_back(opened, module, variant):
    written, dataset = opened(module, variant)
    scene = dataset.scene(written.scene)
    assert (scene.name, scene.dynamic, scene.metric) == (
        written.scene,
        written.dynamic,
        written.metric,
    )
    assert [frame.name for frame in scene.frames] == [truth.name for truth in written.frames]
    for frame, truth in zip(scene.frames, written.frames):
        assert frame.seconds == truth.seconds or frame.seconds == pytest.approx(truth.seconds)
        image = frame.image()
        assert image.shape == truth.image.shape
        difference = np.abs(image.astype(int) - truth.image).mean()
        assert difference <= written.image_error, difference
        same_depth(frame.depth(), truth.depth, written)
        assert (frame.intrinsics is None) == (truth.intrinsics is None)
        if truth.intrinsics is not None:
            np.testing.assert_allclose(frame.intrinsics, truth.intrinsics, atol=1e-6)
        assert all(path.is_file() for path in frame.files)


def same_depth(found, expected, written):
    assert (found is None) == (expected is None)
    if expected is None:
        return
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found == 0, expected == 0)
    # Half a step of the encoding, and what one float32 operation may add.
    allowed = 0.5 * written.depth_step + (written.depth_relative + 2e-7) * expected
    assert (np.abs(found.astype(np.float64) - expected) <= allowed).all()


@pytest.mark.parametrize(("module", "variant"), ALL)
def test_poses_come_back(opened, module, variant):
    written, dataset = opened(module, variant)
    found = relative([frame.world_from_camera for frame in dataset.scene(written.scene).frames])
    expected = relative([truth.world_from_camera for truth in written.frames])
    for pose, truth in zip(found, expected):
        assert (pose is None) == (truth is None)
        if truth is not None:
            np.testing.assert_allclose(pose, truth, atol=20 * written.pose_error)


@pytest.mark.parametrize(("module", "variant"), ALL)
def test_splits_and_names(opened, module, variant):
    written, dataset = opened(module, variant)
    assert dataset.name == next(name for name, m in MODULES.items() if m == module)
    assert {split: dataset.scenes(split) for split in dataset.splits} == written.lists


@pytest.mark.parametrize(("module", "variant"), ALL)
def test_points_of_two_frames_lie_on_one_surface(opened, module, variant):
    """By what the loader gives alone: depth, intrinsics and poses of two frames agree where both
    see the surface. A convention that is wrong in the writer and the loader alike would not."""
    written, dataset = opened(module, variant)
    first, second = dataset.scene(written.scene).frames[:2]
    if first.depth() is None or first.world_from_camera is None or first.intrinsics is None:
        pytest.skip("the layout has no depth, poses or calibration")
    points = unprojected(first)
    camera = np.linalg.solve(second.world_from_camera, points)
    assert median_disagreement(camera, second) < 0.02
    wrong = np.linalg.solve(second.world_from_camera, np.diag([1.0, -1, -1, 1]) @ points)
    assert median_disagreement(wrong, second) > 0.1


def unprojected(frame):
    """Homogeneous world points [4, K] of the pixels that have a depth."""
    depth = frame.depth()
    height, width = frame.image().shape[:2]
    rows, columns = np.nonzero(depth)
    z = depth[rows, columns].astype(np.float64)
    # A depth map may be smaller than its picture: same borders.
    u = (columns + 0.5) * width / depth.shape[1] - 0.5
    v = (rows + 0.5) * height / depth.shape[0] - 0.5
    rays = np.linalg.inv(frame.intrinsics) @ np.stack([u, v, np.ones_like(u)])
    return frame.world_from_camera @ np.vstack([rays * z, np.ones_like(z)])


def median_disagreement(camera, frame):
    """Of z predicted for the pixels of `frame` and its own depth there, relative."""
    depth = frame.depth()
    height, width = frame.image().shape[:2]
    ahead = camera[:, camera[2] > 0.1]
    pixels = frame.intrinsics @ (ahead[:3] / ahead[2])
    columns = np.rint((pixels[0] + 0.5) * depth.shape[1] / width - 0.5).astype(int)
    rows = np.rint((pixels[1] + 0.5) * depth.shape[0] / height - 0.5).astype(int)
    inside = (rows >= 0) & (rows < depth.shape[0]) & (columns >= 0) & (columns < depth.shape[1])
    measured = depth[rows[inside], columns[inside]]
    known = measured > 0
    if known.sum() < 20:
        return np.inf
    return np.median(np.abs(ahead[2, inside][known] / measured[known] - 1))


@pytest.mark.parametrize("module", sorted(VARIANTS))
def test_the_fingerprint_follows_the_files_and_the_settings(opened, tmp_path, module):
    variant = VARIANTS[module][0]
    written, dataset = opened(module, variant)
    before = dataset.fingerprint()
    assert len(before) == 16
    assert open_dataset(dataset.name, tmp_path, written.settings).fingerprint() == before
    files = dataset.scene(written.scene).frames[0].files
    # CO3D's annotations stand for its pictures; a zero byte after them is no damage.
    changed = files[-1] if module == "co3d" else files[0]
    changed.write_bytes(changed.read_bytes() + b"\0")
    assert dataset.fingerprint() != before


@pytest.mark.parametrize("module", ["tum_dynamics", "nrgbd", "tartanair", "colmap", "rgbd_folder"])
def test_a_changed_pose_changes_the_fingerprint(opened, module):
    """One digit of a trajectory: no file changes its size."""
    written, dataset = opened(module, VARIANTS[module][0])
    before = dataset.fingerprint()
    names = ("groundtruth.txt", "poses.txt", "pose_left.txt", "images.txt")
    files = {f for frame in dataset.scene(written.scene).frames for f in frame.files}
    [table] = [file for file in files if file.name in names]
    text = table.read_text()
    place = text.rindex("1")
    table.write_text(text[:place] + "2" + text[place + 1 :])
    assert dataset.fingerprint() != before
