"""Labelled clips out of recorded scenes, against the truth of the generated world."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flow3r.config import from_mapping
from flow3r.data.pairs import ordered_pairs
from flow3r.data.recorded.clips import ClipReport, recorded_clips
from flow3r.data.recorded.config import RecordedConfig
from flow3r.errors import ConfigError, DataError

PAIRS = ordered_pairs(3)


def config(**changes) -> RecordedConfig:
    values = {"dataset": "7scenes", "folder": "x", "split": "all", "count": 3, "frames": 3}
    values |= {"size": [48, 64], "centre": "image"}
    return from_mapping(RecordedConfig, {**values, **changes})


def made(dataset, settings):
    report = ClipReport()
    return list(recorded_clips(dataset, settings, PAIRS, report)), report


def test_clips_have_the_truth_of_the_world(dataset, clips):
    built, report = made(dataset, config())
    assert len(built) == len(report.clips) == 3
    for clip in built:
        truth = clips["ab".index(clip.name[0])]
        first = int(clip.name[2:])
        assert clip.frames == tuple(f"{i:04d}" for i in range(first, first + 3))
        here = slice(first, first + 3)
        assert torch.equal(clip.images, (truth.images[here] * 255).round().to(torch.uint8))
        assert torch.equal(clip.labels["depth"], truth.depth[here])
        torch.testing.assert_close(clip.labels["intrinsics"], truth.intrinsics[here])
        poses = truth.world_from_camera[here]
        torch.testing.assert_close(
            clip.labels["world_from_camera"], torch.linalg.inv(poses[0]) @ poses, atol=1e-5, rtol=0
        )
        exact, seen = truth.flow(PAIRS + first)
        known = (seen > 0) & (clip.flow.covisibility > 0)
        assert (clip.flow.target_px - exact)[known].abs().max() < 1e-2
        assert ((clip.flow.covisibility > 0) == (seen > 0)).float().mean() > 0.95


def test_framing_keeps_flow_and_labels_together(dataset):
    """At another shape the flow is that of the framed depth: what lands in sight agrees."""
    built, _ = made(dataset, config(size=[24, 24], centre="principal-point"))
    for clip in built:
        k = clip.labels["intrinsics"]
        assert clip.images.shape == (3, 3, 24, 24)
        torch.testing.assert_close(k[:, :2, 2], torch.full((3, 2), 11.5), atol=1e-4, rtol=0)
        assert clip.flow.covisibility.mean() > 0.5


def test_dynamic_scenes_teach_no_flow_from_depth(dataset):
    dataset.content = {n: replace(s, dynamic=True) for n, s in dataset.content.items()}
    built, report = made(dataset, config())
    assert all(clip.flow.covisibility.eq(0).all() for clip in built)
    assert "dynamic" in report.as_json()["notes"][0]


def test_a_teacher_labels_instead(dataset):
    pytest.importorskip("cv2")
    built, _ = made(dataset, config(count=1, flow={"name": "dis"}))
    assert built[0].flow.covisibility.max() > 0
    with pytest.raises(ConfigError, match="needs the truth"):
        config(flow={"name": "exact"})


def _damage(dataset, name, index, **changes):
    scene = dataset.content[name]
    frames = list(scene.frames)
    frames[index] = replace(frames[index], **changes)
    dataset.content[name] = replace(scene, frames=tuple(frames))


def _unreadable():
    raise DataError("0004.png: cannot be read as an image")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_source": _unreadable}, "0004.png: cannot be read"),
        ({"pose_source": np.full((4, 4), np.nan)}, "pose of frame 0004: holds NaN"),
        ({"pose_source": np.diag([1.0, 1, -1, 1])}, "not a rotation"),
        ({"depth_source": None}, "0004 has no depth"),
        ({"depth_source": np.ones((48, 64))}, "0004: float64"),
        ({"intrinsics_source": np.eye(3) * 0}, "(?s)0004.*no pinhole calibration"),
    ],
)
def test_damage_stops_or_is_skipped_and_counted(dataset, changes, message):
    _damage(dataset, "a", 4, **changes)
    with pytest.raises(DataError, match=message):
        made(dataset, config(count=9))
    built, report = made(dataset, config(count=9, on_damage="skip"))
    assert len(built) == 9  # of 12 clips without fault three hold frame 4 of scene a
    assert not any("0004" in clip.frames and clip.name[0] == "a" for clip in built)
    assert all("a: " in text and "0004" in text for text in report.damaged)
    with pytest.raises(DataError, match="9 clips, but count=10"):
        made(dataset, config(count=10, on_damage="skip"))


def test_missing_files_stop_before_anything_is_read(dataset, tmp_path):
    _damage(dataset, "b", 2, image_source=_unreadable, files=(tmp_path / "gone.png",))
    with pytest.raises(DataError, match=r"1 files are missing.*gone\.png"):
        made(dataset, config(count=1))


def test_a_scene_whose_layout_is_damaged_stops_or_is_skipped(dataset):
    class Broken(type(dataset)):
        def scene(self, name):
            if name == "a":
                raise DataError("a/poses.txt: 3 poses, but 8 images")
            return super().scene(name)

    broken = Broken(dataset.content)
    with pytest.raises(DataError, match="3 poses, but 8 images"):
        made(broken, config(count=1))
    built, report = made(broken, config(count=6, on_damage="skip"))
    assert {clip.name[0] for clip in built} == {"b"}
    assert report.as_json()["skipped_as_damaged"] == 1


def test_missing_depth_is_zero_and_too_little_is_passed_over(dataset):
    depth = dataset.content["a"].frames[1].depth().copy()
    depth[:, 30:] = 0
    _damage(dataset, "a", 1, depth_source=depth)
    built, _ = made(dataset, config(count=12))
    for clip in (c for c in built if "0001" in c.frames and c.name[0] == "a"):
        place = clip.frames.index("0001")
        assert clip.labels["depth"][place, :, 30:].eq(0).all()
        source = PAIRS[:, 0] == place
        assert clip.flow.covisibility[source][..., 30:].eq(0).all()
    _damage(dataset, "a", 1, depth_source=np.zeros_like(depth))
    built, report = made(dataset, config(count=10))
    assert report.passed_over["a frame with too little depth"] == 2
    limited, _ = made(dataset, config(count=1, depth_limit=2.0, least_depth_share=0.0))
    assert limited[0].labels["depth"].max() <= 2.0


def test_crops_vary_the_focal_length_and_keep_the_labels_together(dataset):
    [plain], _ = made(dataset, config(count=1))
    [cropped], _ = made(dataset, config(count=1, crop_share=[0.8, 0.9]))
    ratio = cropped.labels["intrinsics"][:, 0, 0] / plain.labels["intrinsics"][:, 0, 0]
    assert (ratio >= 1 / 0.9 - 1e-5).all()
    assert (ratio <= 1 / 0.8 + 1e-5).all()
    assert len(set(ratio.tolist())) == 3
    assert cropped.flow.covisibility.mean() > 0.4
