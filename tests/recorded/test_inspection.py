"""What an inspection says about clean and about damaged data."""

import re
from dataclasses import replace

import numpy as np
import pytest

from flow3r.data.inspection.findings import Findings
from flow3r.data.inspection.survey import sampled, survey
from flow3r.data.scenes import Scene
from flow3r.errors import DataError


def look(dataset, names=("a",)):
    findings = Findings()
    reports = [report for _, report in survey(dataset, list(names), 60, findings)]
    return findings, reports


def changed(scene: Scene, **sources) -> Scene:
    """Every frame with `sources`: name -> function of the frame."""
    frames = tuple(
        replace(frame, **{name: make(frame) for name, make in sources.items()})
        for frame in scene.frames
    )
    return replace(scene, frames=frames)


def damage(dataset, index, **changes):
    scene = dataset.content["a"]
    frames = list(scene.frames)
    frames[index] = replace(frames[index], **changes)
    dataset.content["a"] = replace(scene, frames=tuple(frames))


def _unreadable():
    raise DataError("x.png: cannot be read as an image")


def test_clean_data_have_no_findings(dataset):
    findings, (report, _) = look(dataset, "ab")
    assert findings.found == []
    assert report.count.frames == report.count.looked_at == 8
    assert report.strides[1]["pairs"] == 7
    assert report.strides[1]["depth_error"] < 0.01
    assert report.strides[1]["reprojection_px"] < 0.5
    assert report.strides[1]["share"] > 0.8
    assert report.strides[5]["share"] < report.strides[1]["share"]
    assert sum(report.covisibility) == 10
    assert report.as_json()["count"]["sizes"] == [[48, 64]]


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"image_source": _unreadable}, "image", r"x\.png: cannot be read"),
        ({"image_source": np.zeros((48, 64), np.uint8)}, "image", "not uint8"),
        ({"pose_source": np.full((4, 4), np.nan)}, "pose", "holds NaN"),
        ({"pose_source": np.eye(4) * 2}, "pose", "not a rotation"),
        ({"depth_source": np.zeros((48, 64), np.float32)}, "depth", "only 0.0%"),
        ({"depth_source": np.ones((48, 48), np.float32)}, "size", r"\(48, 48\).*\(48, 64\)"),
        ({"intrinsics_source": np.diag([0.0, 1, 1])}, "intrinsics", "no pinhole"),
        (
            {"intrinsics_source": np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])},
            "intrinsics",
            "another resolution",
        ),
    ],
)
def test_a_damaged_frame_is_named(dataset, changes, kind, message):
    damage(dataset, 3, **changes)
    findings, _ = look(dataset)
    [error] = [f for f in findings.found if f.level == "error"]
    assert (error.kind, error.where) == (kind, "a/0003")
    assert re.search(message, error.message)


def test_missing_files_and_twice_used_names_are_named(dataset, tmp_path):
    damage(dataset, 2, files=(tmp_path / "gone.png",), image_source=_unreadable)
    damage(dataset, 5, name="0004", seconds=0.0)
    findings, (report,) = look(dataset)
    kinds = {f.kind: f for f in findings.found}
    assert set(kinds) == {"missing-file", "count", "time"}
    assert "gone.png" in kinds["missing-file"].message
    assert report.count.missing_files == 1


def test_a_scene_that_cannot_be_opened_is_named(dataset):
    class Broken(type(dataset)):
        def scene(self, name):
            if name == "b":
                raise DataError("b/poses.txt: 3 poses, but 8 images")
            return super().scene(name)

    findings, reports = look(Broken(dataset.content), "ab")
    assert [(f.kind, f.where) for f in findings.found] == [("layout", "b")]
    assert len(reports) == 2


def _axes(frame, rows):
    turn = np.eye(4)
    turn[:3, :3] = rows
    return frame.pose_source @ turn


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ({"pose_source": lambda f: np.linalg.inv(f.pose_source)}, "world to camera (inverted)"),
        ({"pose_source": lambda f: _axes(f, np.diag([1, -1, -1]))}, "OpenGL's"),
        ({"pose_source": lambda f: _axes(f, np.diag([-1, -1, 1]))}, "PyTorch3D's"),
        (
            {"pose_source": lambda f: _axes(f, np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]))},
            "AirSim",
        ),
        ({"depth_source": lambda f: (f.depth_source * 1000).astype(np.float32)}, "by 1000"),
        ({"depth_source": lambda f: (f.depth_source / 5).astype(np.float32)}, "by 0.2"),
    ],
)
def test_mixed_conventions_are_recognised(dataset, sources, says):
    dataset.content["a"] = changed(dataset.content["a"], **sources)
    findings, (report,) = look(dataset)
    axes = [f for f in findings.found if f.kind == "axes"]
    assert len(axes) == 1, findings.lines()
    assert says in axes[0].message
    assert report.best_alternative_share > report.as_is + 0.1


def test_millimetres_are_noticed_in_metric_scenes(dataset):
    scene = dataset.content["a"]

    def moved(frame):
        pose = frame.pose_source.copy()
        pose[:3, 3] *= 1000
        return pose

    dataset.content["a"] = changed(
        scene,
        pose_source=moved,
        depth_source=lambda f: (f.depth_source * 1000).astype(np.float32),
    )
    findings, _ = look(dataset)
    assert {f.kind for f in findings.found} == {"units"}
    dataset.content["a"] = replace(dataset.content["a"], metric=False)
    assert look(dataset)[0].found == []


def test_long_scenes_are_sampled():
    bases, frames = sampled(1000, 60)
    assert len(frames) <= 60
    assert {base + stride for base in bases for stride in (0, 1, 5, 20)} == set(frames)
    assert max(frames) == 999
    assert sampled(10, 60) == (list(range(10)), list(range(10)))


def test_many_findings_of_a_kind_are_counted():
    findings = Findings()
    for index in range(30):
        findings.error("image", str(index), "bad")
    findings.warn("depth", "x", "odd")
    lines = findings.lines()
    assert lines[-2] == "error (image): and 10 more"
    assert lines[-1] == "warning (depth) x: odd"
    assert (findings.errors, findings.warnings) == (30, 1)
