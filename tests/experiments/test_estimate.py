"""The estimate for a large set of videos: every formula by hand, units, the command line."""

import json

import pytest

from experiments import estimate as script
from experiments.at_scale.costs import QUANTITIES, Inputs, estimate
from flow3r.errors import ConfigError

SMALL = Inputs(
    videos=1000,
    clips_per_video=2.0,
    frames=4,
    size=100,
    pairs=12,
    pairs_used=3,
    frame_bytes=2.0,
    label_bytes=1.5,
    record_bytes=100,
    teacher_ms=90.0,
    devices=3,
    decode_ms=180.0,
    video_megabytes=8.0,
    clips_per_second=10.0,
)


def test_every_quantity_by_hand():
    frames, label = 4 * 10_000 * 2 + 100, 15_000 + 100
    store = 2000 * (frames + 12 * label)
    expected = {
        "clips": 2000,
        "labels": 24_000,
        "bytes of a clip's frames": 80_100,
        "bytes of a label": 15_100,
        "store": store / 1e12,
        "videos as they come": 0.008,
        "teacher": 24_000 * 0.09 / 3600,  # 2160 s
        "decoding": 2000 * 0.18 / 3600,
        "labelling": 720 / 3600,
        "cores that keep the teachers fed": 0.5,  # 360 s of decoding in 720 s
        "writing while labelling": store / 1e6 / 720,
        "reading while training": 10 * (80_100 + 3 * 15_100) / 1e6,
        "epoch": 200 / 3600,
    }
    assert estimate(SMALL) == pytest.approx(expected)


def test_the_command_prints_inputs_and_formulas(capsys):
    assert script.main(["videos=1000", "teacher_ms=7.5"]) == 0
    first, *lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first["inputs"]["videos"] == 1000
    assert first["inputs"]["teacher_ms"] == 7.5
    assert [line["quantity"] for line in lines] == list(QUANTITIES)
    assert all(line["formula"] for line in lines)


def test_the_help_names_every_input():
    documented = set(script.HELP.split())
    assert set(Inputs.__dataclass_fields__) - documented <= {"record_bytes"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clips=3"], "unknown arguments.*videos"),
        (["videos=many"], "videos='many' is not a whole number"),
        (["videos=0"], "videos=0.* must be positive"),
        (["frames=2", "pairs=3"], "2 frames have 2 pairs"),
        (["pairs_used=57"], "must not exceed pairs=56"),
    ],
)
def test_wrong_inputs_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        script.main(arguments)
