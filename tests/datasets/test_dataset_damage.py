"""Damaged downloads: one DataError that names the file, never a wrong frame and never a traceback
of another kind."""

from __future__ import annotations

import shutil

import pytest

from flow3r.data.datasets.registry import MODULES, open_dataset
from flow3r.errors import ConfigError, DataError


def read_everything(dataset, scene):
    for frame in dataset.scene(scene).frames:
        frame.image()
        frame.depth()
        assert frame.intrinsics is None or frame.intrinsics.shape == (3, 3)
        assert frame.world_from_camera is None or frame.world_from_camera.shape == (4, 4)


@pytest.mark.parametrize("module", sorted(MODULES.values()))
def test_damage_is_named(layouts, make_clip, tmp_path, module):
    layout = layouts(module)
    whole = tmp_path / "whole"
    written = next(iter(layout.VARIANTS.values()))(whole, make_clip())
    read_everything(open_dataset(layout.NAME, whole, written.settings), written.scene)
    for number, (what, (damage, named)) in enumerate(layout.DAMAGES.items()):
        folder = shutil.copytree(whole, tmp_path / str(number))
        damage(folder)
        with pytest.raises(DataError) as caught:  # noqa: PT012 (opening reads some files already)
            read_everything(open_dataset(layout.NAME, folder, written.settings), written.scene)
            pytest.fail(f"{module}: {what} went unnoticed")
        assert named in str(caught.value), f"{module}, {what}: does not name {named}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_an_empty_folder_is_told_what_was_looked_for(tmp_path, name):
    with pytest.raises(DataError, match=r"no scene of dataset .*looked for"):
        open_dataset(name, tmp_path)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_missing_folder_and_an_unknown_setting(tmp_path, name):
    with pytest.raises(DataError, match="not a folder"):
        open_dataset(name, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=f"{name}.colour: unknown setting"):
        open_dataset(name, tmp_path, {"colour": "red"})


def test_an_unknown_dataset_split_and_scene(layouts, make_clip, tmp_path):
    with pytest.raises(ConfigError, match=r"dataset='ScanNet' is not valid.*'scannet'"):
        open_dataset("ScanNet", tmp_path)
    layouts("seven_scenes").write(tmp_path, make_clip())
    dataset = open_dataset("7scenes", tmp_path)
    with pytest.raises(ConfigError, match=r"split of 7scenes='dev'.*train.*test"):
        dataset.scenes("dev")
    with pytest.raises(DataError, match=r"no scene 'chess/seq-09'.*chess/seq-01"):
        dataset.scene("chess/seq-09")
