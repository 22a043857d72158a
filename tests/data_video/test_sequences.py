"""Names of image sequences."""

from pathlib import Path

import pytest

from flow3r.data.video.sequences import Numbered, find_sequences, frame_path, sequence_numbers
from flow3r.errors import DataError


def test_the_number_is_the_last_group_of_digits():
    names = ["cam2_01.png", "cam2_02.png", "cam3_01.png", "9.jpg", "10.jpg", "logo.png"]
    found, single = find_sequences(names)
    assert single == ["logo.png"]
    assert found == [
        Numbered("%d.jpg", (9, 10)),
        Numbered("cam2_%02d.png", (1, 2)),
        Numbered("cam3_%02d.png", (1,)),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["a1.png", "a2.png", "a10.png"],
        ["a098.png", "a099.png", "a100.png", "a1000.png"],
        ["a0.webp", "a1.webp"],
        ["100%_1%d.png", "100%_2%d.png"],
        ["%d%04d_7.png", "%d%04d_8.png"],
        [f"{10**17 + i}.png" for i in range(3)],
        [f"t{10**24 + i}.png" for i in range(3)],
    ],
)
def test_every_name_is_written_back(names):
    [sequence], single = find_sequences(names)
    assert not single
    back = [frame_path(Path("x") / sequence.pattern, n).name for n in sequence.numbers]
    assert back == names


def test_other_widths_are_other_sequences():
    found, _ = find_sequences(["a1.png", "a2.png", "a01.png", "a02.png", "a12.png"])
    names = sorted(frame_path(Path(s.pattern), n).name for s in found for n in s.numbers)
    assert names == ["a01.png", "a02.png", "a1.png", "a12.png", "a2.png"]
    assert len(found) == 2


def test_the_numbers_are_those_that_are_there_now(tmp_path):
    for n in (3, 1, 7):
        (tmp_path / f"f_{n:03d}.png").touch()
    assert sequence_numbers(tmp_path / "f_%03d.png") == [1, 3, 7]
    with pytest.raises(DataError, match="no frames"):
        sequence_numbers(tmp_path / "g_%03d.png")
