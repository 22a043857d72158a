"""The report on a teacher: rows, figures, real video, and mistakes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from experiments import teacher_quality
from experiments.compose import choices
from experiments.teacher_choice import chosen_teacher
from experiments.teacher_clips import MOTIONS, judged_clip
from experiments.teacher_quality import main
from flow3r.errors import ConfigError, DataError
from flow3r.teachers.registry import TEACHERS

SMALL = ["sizes=32", "motions=small", "gaps=1,4", "clips=1"]


def rows(capsys, *words):
    assert main(list(words)) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_row_per_size_motion_and_gap(capsys):
    found = rows(
        capsys, "teacher=exact", "sizes=32,48", "motions=small,study", "gaps=1,2", "clips=1"
    )
    places = [(r["size"], r["motion"], r["gap"]) for r in found]
    small = [(size, "small", gap) for size in (32, 48) for gap in (1, 2)]
    assert places == [*small, (32, "study", 1), (48, "study", 1)]  # two frames: no gap of 2
    for row in found:
        assert row["epe/all"] == row["epe/moving"] == 0
        assert row["covisibility_precision/all"] == row["covisibility_recall/all"] == 100
        assert row["cycle_median_px"] < 0.1
        assert row["ms_per_pair"] > 0
    assert found[0]["pairs"] == 8  # 4 starts, both ways


@pytest.mark.parametrize("teacher", ["dis", "noisy", "noisy-strong"])
def test_other_teachers_err(capsys, teacher):
    for row in rows(capsys, f"teacher={teacher}", *SMALL):
        assert 0 < row["epe/all"] < 4
        assert row["settings"]


def test_settings_reach_the_teacher():
    chosen = chosen_teacher("dis", ["teacher.settings.patch_stride=4"], "cpu")
    assert chosen.settings["patch_stride"] == 4
    with pytest.raises(ConfigError, match="weights=PATH"):
        main(["teacher=raft", *SMALL])


def test_every_registered_teacher_has_a_config():
    assert set(TEACHERS) <= set(choices("teacher"))


def test_noisy_strong_is_twice_noisy():
    weak, strong = (chosen_teacher(n, [], "cpu").settings for n in ("noisy", "noisy-strong"))
    for name in ("smooth_px", "motion_share", "missed_share", "invented_share"):
        assert strong[name] == pytest.approx(2 * weak[name])


def test_figures_are_written(capsys, tmp_path):
    rows(capsys, "teacher=noisy", *SMALL, f"output={tmp_path / 'new'}")
    assert {p.name for p in (tmp_path / "new").iterdir()} == {
        "noisy-error.png",
        "noisy-examples.png",
    }


def write_video(path, count=8):
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(0, 255, (40, 50, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "10"})
        stream.pix_fmt, stream.height, stream.width = "yuv420p", 96, 128
        for i in range(count):
            image = np.ascontiguousarray(scene[20:116, 20 + i : 148 + i])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def test_real_video_gives_cycle_consistency(capsys, tmp_path):
    write_video(tmp_path / "moving.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    found = rows(capsys, "teacher=dis", f"videos={tmp_path}", "sizes=48", "gaps=1,2", "clips=2")
    assert [r["gap"] for r in found] == [1, 2]
    for row in found:
        assert row["clips"] == 2
        assert row["cycle_median_px"] < 0.2
        assert row["kept_share"] > 70
        assert "epe/all" not in row


def test_videos_that_are_too_short_are_an_error(tmp_path):
    write_video(tmp_path / "moving.mp4", count=3)
    with pytest.raises(DataError, match="at least 5 frames"):
        main(["teacher=dis", f"videos={tmp_path}", "sizes=48", "gaps=4", "clips=1"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["teacher=diss"], r"'diss'.*dis.*noisy-strong"),
        ([], "teacher=''"),
        (["teacher=dis", "motions=huge"], r"'huge'.*small"),
        (["teacher=dis", "sizes=8"], "sizes='8'"),
        (["teacher=dis", "gaps=x"], "gaps='x'"),
        (["teacher=dis", "clips=0"], "clips='0'"),
        (["teacher=dis", "gaps=7"], "5 frames"),
        (["teacher=dis", "color=1"], "color=1"),
        (["teacher=dis", "teacher.settings.patch=1"], "patch_size"),
        (["teacher=dis", "videos=x", "motions=small"], "motions"),
    ],
)
def test_mistakes_name_the_choices(words, message):
    with pytest.raises(ConfigError, match=message):
        main(words)


@pytest.mark.parametrize("motion", ["small", "large"])
def test_a_clip_pans_steadily_to_the_side_of_its_number(motion):
    for index, sign in ((0, 1), (1, -1)):
        poses = judged_clip(16, motion, index).world_from_camera
        sideways = poses[-1, :3, 2] @ poses[0, :3, 0]  # the last view axis on the first x axis
        assert float(sideways) * sign != 0
        turned = torch.stack([poses[i + 1, :3, 2] @ poses[i, :3, 0] for i in range(4)])
        assert (turned.sign() == turned[0].sign()).all()
    low, high = MOTIONS[motion]["yaw"]
    assert 0 < low < high


def test_help_is_quick_and_names_the_teachers_place():
    began = time.perf_counter()
    script = Path(teacher_quality.__file__)
    shown = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    assert "teacher=dis" in shown.stdout
    assert time.perf_counter() - began < 30  # three seconds on an idle machine
