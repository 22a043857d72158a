"""The rerun recording: read back where rerun-sdk is installed, and one clear error where not."""

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest

from flow3r.errors import ConfigError
from flow3r.inference.recording import flow_arrows, require_rerun, write_recording

needs_rerun = pytest.mark.skipif(
    importlib.util.find_spec("rerun") is None, reason="rerun-sdk is not installed (optional)"
)


def read_back(path):
    """Entity -> {frame or None for static: {component: value}}."""
    from rerun.experimental import RrdReader

    entities: dict = {}
    for chunk in RrdReader(path).stream():
        batch = chunk.to_record_batch()
        columns = dict(zip(batch.schema.names, batch.columns))
        frames = columns["frame"].to_pylist() if "frame" in columns else [None] * batch.num_rows
        for row, frame in enumerate(frames):
            kept = entities.setdefault(chunk.entity_path, {}).setdefault(frame, {})
            for name, column in columns.items():
                if column[row].as_py() is not None:
                    kept[name.rpartition(":")[2]] = column[row].as_py()
    return entities


@needs_rerun
def test_a_recording_holds_cameras_images_points_and_confidence(known_result, tmp_path):
    path = tmp_path / "a.rrd"
    write_recording(path, known_result)
    found = read_back(path)
    images = {f"/world/camera/image/{n}" for n in ("rgb", "depth", "confidence", "flow")}
    points = {f"/world/points/{n:03d}" for n in range(3)}
    assert images | points | {"/world/camera", "/world/camera/image"} <= set(found)
    for index in range(3):
        keep = known_result.keep[index]
        cloud = found[f"/world/points/{index:03d}"][index]
        assert np.array_equal(
            np.array(cloud["positions"], np.float32), known_result.world_points[index][keep]
        )
        packed = known_result.images[index][keep].astype(np.uint32) @ [1 << 24, 1 << 16, 1 << 8]
        assert np.array_equal(np.array(cloud["colors"], np.uint32), packed + 255)
        assert cloud["confidence"] == pytest.approx(known_result.confidence[index][keep])
        camera = found["/world/camera"][index]
        pose = known_result.world_from_camera[index]
        assert camera["translation"][0] == pytest.approx(pose[:3, 3])
        # Column by column.
        assert camera["mat3x3"][0] == pytest.approx(pose[:3, :3].T.ravel())
        pinhole = found["/world/camera/image"][index]
        expected = known_result.intrinsics[index].copy()
        expected[:2, 2] += 0.5
        assert pinhole["image_from_camera"][0] == pytest.approx(expected.T.ravel())
        assert pinhole["resolution"][0] == [8, 6]
        rgb = found["/world/camera/image/rgb"][index]["buffer"][0]
        assert bytes(rgb) == known_result.images[index].tobytes()
        depth = found["/world/camera/image/depth"][index]["buffer"][0]
        assert bytes(depth) == known_result.depth[index].tobytes()


def test_flow_arrows_are_a_coarse_grid_of_defined_flow():
    flow = np.zeros((64, 128, 2), np.float32)
    flow[..., 0] = np.arange(128)
    flow[:32] = np.nan
    origins, vectors = flow_arrows(flow)
    assert origins.shape == vectors.shape == (8 * 32, 2)  # every fourth pixel of the lower half
    assert origins[:, 1].min() >= 32
    assert np.array_equal(vectors[:, 0], origins[:, 0])
    origins, _ = flow_arrows(np.zeros((6, 8, 2), np.float32))
    assert len(origins) == 48


def test_without_rerun_the_error_says_what_to_install(monkeypatch, known_result, tmp_path):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match="pip install rerun-sdk"):
        write_recording(tmp_path / "a.rrd", known_result)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(sys.modules, "rerun", ModuleType("rerun"))
    with pytest.raises(ConfigError, match="another package called rerun"):
        require_rerun()


def test_without_trimesh_the_error_says_what_to_install(monkeypatch, known_result, tmp_path):
    from flow3r.inference.glb import write_glb

    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(ConfigError, match="pip install trimesh"):
        write_glb(tmp_path / "a.glb", known_result)
