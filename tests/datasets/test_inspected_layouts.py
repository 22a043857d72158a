"""What inspecting a download says of every layout: nothing of a whole one, the file of a damaged
one."""

from __future__ import annotations

import shutil

import pytest

from flow3r.data.datasets.registry import MODULES, open_dataset
from flow3r.data.inspection.findings import Findings
from flow3r.data.inspection.survey import survey
from flow3r.errors import DataError


def findings(layout, folder, written):
    found = Findings()
    list(survey(open_dataset(layout.NAME, folder, written.settings), [written.scene], 10, found))
    return found


@pytest.mark.parametrize("module", sorted(MODULES.values()))
def test_a_whole_download_gives_no_finding(layouts, make_clip, tmp_path, module):
    layout = layouts(module)
    for variant, write in layout.VARIANTS.items():
        written = write(tmp_path / variant, make_clip())
        found = findings(layout, tmp_path / variant, written)
        assert found.as_json() == [], variant


@pytest.mark.parametrize("module", sorted(MODULES.values()))
def test_every_damage_is_an_error_that_names_the_file(layouts, make_clip, tmp_path, module):
    """As a finding, or where the layout cannot even be listed, as the DataError of opening it."""
    layout = layouts(module)
    written = next(iter(layout.VARIANTS.values()))(tmp_path / "whole", make_clip())
    for number, (what, (damage, named)) in enumerate(layout.DAMAGES.items()):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / str(number))
        damage(folder)
        try:
            found = findings(layout, folder, written)
        except DataError as error:
            said = str(error)
        else:
            said = str(found.as_json()) if found.errors else ""
        assert named in said, f"{module}, {what}"
