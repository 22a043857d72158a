"""The contact sheet of the generated world."""

import importlib
import struct
import sys

import numpy as np
import pytest

from flow3r.data.world import generate_clip, world_config
from flow3r.errors import ConfigError


@pytest.fixture
def contact_sheet(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # a script puts the repository first
    return importlib.import_module("experiments.contact_sheet")


def test_masks_have_four_colours(contact_sheet):
    moving = np.array([[False, True, False, True]])
    seen = np.array([[True, True, False, False]])
    colours = contact_sheet.mask_colours(moving, seen)[0]
    assert len(np.unique(colours, axis=0)) == 4
    np.testing.assert_allclose(colours[2:], 0.45 * colours[:2])
    assert np.ptp(colours[0]) == 0  # static is grey


def test_a_row_holds_one_picture_per_head(contact_sheet):
    config = world_config("target", frames=3, height=24, width=32, dynamic=True)
    cells = contact_sheet.clip_cells(generate_clip(config, 1, 0))
    assert len(cells) == len(contact_sheet.HEADS)
    for cell in cells:
        assert cell.shape == (24, 32, 3)
        assert cell.min() >= 0
        assert cell.max() <= 1


def test_the_command_writes_the_same_small_file_twice(contact_sheet, tmp_path, monkeypatch):
    monkeypatch.setattr(contact_sheet, "SIZE", (24, 32))
    paths = [tmp_path / "new" / "a.png", tmp_path / "b.png"]
    for path in paths:
        assert contact_sheet.main([f"output={path}", "width=400"]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert struct.unpack(">II", paths[0].read_bytes()[16:24])[0] == 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "must name a .png"),
        (["output=a.jpg"], "must name a .png"),
        (["output=a.png", "width=wide"], "width='wide'"),
        (["output=a.png", "width=20"], "must be >= 300"),
        (["output=a.png", "colour=red"], "unknown arguments"),
    ],
)
def test_bad_arguments_are_named(contact_sheet, arguments, message):
    with pytest.raises(ConfigError, match=message):
        contact_sheet.main(arguments)
