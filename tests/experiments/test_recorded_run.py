"""Recorded clips in a run: composed, labelled once, mixed with generated ones, recorded."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from experiments.compose import compose
from experiments.identity import run_id
from experiments.mixture import pool_sizes
from experiments.recorded import RecordedSets
from experiments.spec import parse_spec
from experiments.stages import required_stages
from flow3r.config import from_mapping
from flow3r.data.epochs import Mixture
from flow3r.data.recorded.config import RecordedConfig
from flow3r.data.world import generate_clip, world_config
from flow3r.errors import ConfigError

SIZE = (48, 64)
FRAMES = 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A download in the layout of `rgbd_folder`, one scene."""
    root = tmp_path_factory.mktemp("rgbd") / "room"
    config = world_config(
        "target",
        frames=FRAMES,
        height=SIZE[0],
        width=SIZE[1],
        baseline=(0.1, 0.2),
        yaw=(-5.0, 5.0),
        shadow_lights=0,
    )
    clip = generate_clip(config, 3, 0)
    for name in ("images", "depth"):
        (root / name).mkdir(parents=True)
    for index in range(FRAMES):
        image = (clip.images[index].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"{index}.png")
        codes = (clip.depth[index].numpy() * 1000).round().astype(np.uint16)
        Image.fromarray(codes).save(root / "depth" / f"{index}.png")
    np.savetxt(root / "poses.txt", clip.world_from_camera.reshape(-1, 16).numpy())
    np.savetxt(root / "intrinsics.txt", clip.intrinsics[0].numpy())
    return root.parent


def overrides(folder, *more):
    mine = "data.recorded.labelled.mine"
    return [
        "profile=smoke",
        "data=recorded",
        f"{mine}.dataset=rgbd_folder",
        f"{mine}.folder={folder}",
        f"{mine}.split=all",
        f"{mine}.count=3",
        *more,
    ]


def test_the_content_identifies_a_download(folder, tmp_path):
    first = compose(overrides(folder)).spec
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    assert run_id(compose(overrides(moved)).spec) == run_id(first)
    poses = np.loadtxt(moved / "room" / "poses.txt")
    poses[2, 3] += 0.01
    np.savetxt(moved / "room" / "poses.txt", poses)
    assert run_id(compose(overrides(moved)).spec) != run_id(first)
    assert parse_spec(first).data.recorded.labelled["mine"].content


def test_recorded_stages_come_first_and_generated_ones_only_where_used(folder):
    kinds = [s.kind for s in required_stages(compose(overrides(folder)).spec)]
    assert kinds[0] == "recorded"
    assert kinds.count("dataset") == 7  # two sources, unlabelled, two validation, two test
    mixed = compose(overrides(folder, "data.recorded.generated_labelled=1")).spec
    assert [s.kind for s in required_stages(mixed)].count("dataset") == 8


def test_sizes_and_weights_are_checked(folder):
    with pytest.raises(ConfigError, match=r"labelled_clips=9 must lie in 1..3"):
        compose(overrides(folder, "data.labelled_clips=9"))
    with pytest.raises(ConfigError, match="must share"):
        compose(overrides(folder, "data.recorded.labelled.mine.size=[16,32]"))
    with pytest.raises(ConfigError, match=r"recorded.weights='other' is not valid"):
        compose(overrides(folder, "+data.recorded.weights.other=2"))
    with pytest.raises(ConfigError, match="at least one of"):
        RecordedSets()


def test_pools_are_mixtures_by_weight():
    class FakePool:
        def __init__(self, *counts):
            self.counts = counts

        def __len__(self):
            return sum(self.counts)

    values = {"dataset": "7scenes", "folder": "x", "split": "all", "frames": 2, "size": [8, 8]}
    made = {name: from_mapping(RecordedConfig, {**values, "count": 5}) for name in "ab"}
    pools = {
        "source": FakePool(10, 20),
        "labelled": FakePool(6, 5, 5),
        "unlabelled": FakePool(7),
    }
    sets = RecordedSets(labelled=made, weights={"b": 3.0}, generated_labelled=2.0)
    assert pool_sizes(sets, pools) == {
        "source": 30,
        "labelled": Mixture((6, 5, 5), (2.0, 1.0, 3.0)),
        "unlabelled": 7,
    }
    replay = RecordedSets(source={"a": made["a"]}, generated_source=0.5)
    pools["source"] = FakePool(10, 20, 5)
    assert pool_sizes(replay, pools)["source"] == Mixture((30, 5), (0.5, 1.0))
    assert pool_sizes(None, pools)["source"] == 35


def test_a_recorded_set_and_the_generated_one_train_together(
    folder, tmp_path, run_script, small_overrides
):
    both = overrides(
        folder,
        *small_overrides[1:],
        "data.recorded.generated_labelled=1",
        "data.labelled_clips=6",
        f"output_dir={tmp_path}",
    )
    result = run_script("experiments/train.py", *both)
    assert result.returncode == 0, result.stdout + result.stderr
    [run] = (tmp_path / "runs").iterdir()
    found = json.loads((run / "provenance.json").read_text())["data_fingerprints"]
    assert {"labelled-0", "labelled-1-rgbd_folder"} <= set(found)
    [stage] = (tmp_path / "stages").glob("recorded-*")
    report = json.loads((stage / "report.json").read_text())
    assert len(report["clips"]) == 3
    assert all(clip["name"].startswith("room/") for clip in report["clips"])
    manifest = json.loads((stage / "clips" / "manifest.json").read_text())
    assert manifest["fingerprint"] == found["labelled-1-rgbd_folder"]
    assert manifest["provenance"]["recorded"]["dataset"] == "rgbd_folder"


def test_damage_stops_a_run_before_any_work(folder, tmp_path, run_script, small_overrides):
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "room" / "depth" / "3.png").write_bytes(b"not a picture")
    arguments = overrides(damaged, *small_overrides[1:], f"output_dir={tmp_path / 'out'}")
    arguments = [a for a in arguments if "mine.count" not in a]
    arguments.append("data.recorded.labelled.mine.count=5")
    result = run_script("experiments/train.py", *arguments)
    assert result.returncode != 0
    assert "3.png" in result.stdout + result.stderr
    assert not list((tmp_path / "out" / "stages").glob("pretrain-*"))
    skipping = [*arguments, "+data.recorded.labelled.mine.on_damage=skip"]
    skipping = [a for a in skipping if "mine.count" not in a]
    skipping.append("data.recorded.labelled.mine.count=2")
    assert compose(skipping).spec["data"]["recorded"]["labelled"]["mine"]["on_damage"] == "skip"


def test_inspect_reports_and_tells_by_its_exit_code(folder, tmp_path, run_script):
    arguments = ("dataset=rgbd_folder", f"path={folder}", f"output_dir={tmp_path}")
    result = run_script("experiments/inspect.py", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "reprojection error" in result.stdout
    out = tmp_path / "inspections" / "rgbd_folder"
    names = {path.name for path in out.iterdir()}
    assert names == {"report.json", "report.txt", "contact_sheet.png", "room.ply"}
    result = run_script("experiments/inspect.py", *arguments, "settings.depth_per_unit=5000")
    assert result.returncode == 1
    assert "to be multiplied by 0.2" in result.stdout
    report = json.loads((tmp_path / "inspections" / "rgbd_folder-2" / "report.json").read_text())
    assert report["errors"] >= 1
    result = run_script("experiments/inspect.py", "dataset=rgbd_folder")
    assert result.returncode == 2
    assert "path= is required" in result.stderr
