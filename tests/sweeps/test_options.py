"""Words of the command line, and what the front door says about wrong ones."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import pytest

from flow3r.errors import ConfigError
from sweeps.jobs import REPOSITORY
from sweeps.options import Options, parse, require_writable
from sweeps.usage import usage

RUN = str(REPOSITORY / "sweeps" / "run.py")


def front_door(*words, folder=None):
    command = [sys.executable, RUN, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_defaults_and_overrides():
    options = parse(["sweep=formulations", "training.clip=0.5", "seeds=[3,1]", "slots=4"])
    assert (options.profile, options.dry_run, options.launcher) == ("laptop", False, "local")
    assert options.output_dir == Path("outputs").absolute()
    assert options.seeds == (3, 1)
    assert options.slots == 4
    assert options.overrides == ("training.clip=0.5",)
    assert parse(["sweep=formulations", "seeds=2"]).seeds == (2,)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90", 90), ("90s", 90), ("45m", 2700), ("2h30m", 9000), ("1d12h", 129600), ("1h5", 3605)],
)
def test_durations(value, seconds):
    words = [f"{name}={value}" for name in ("until", "timeout", "stall")]
    options = parse(["sweep=formulations", *words])
    assert (options.until, options.timeout, options.stall) == (seconds, seconds, seconds)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("21:30", 5400 - 10), ("20:01", 60 - 10), ("20:00", 86400 - 10), ("7:15", 40500 - 10)],
)
def test_a_time_of_day_is_its_next_moment(value, seconds):
    now = datetime(2026, 11, 23, 20, 0, 10)
    assert parse(["sweep=formulations", f"until={value}"], now).until == seconds


@pytest.mark.parametrize(
    ("value", "patterns"),
    [
        ("3d-sup", ("3d-sup",)),
        ("3d-*, factored-unsup", ("3d-*", "factored-unsup")),
        ("[3d-*,a1b2c3]", ("3d-*", "a1b2c3")),
        ("[3f]*-sup", ("[3f]*-sup",)),
    ],
)
def test_only_is_a_list_of_patterns(value, patterns):
    assert parse(["sweep=formulations", f"only={value}"]).only == patterns


def test_runs_on_a_gpu_are_one_a_number_or_as_many_as_fit():
    assert parse(["sweep=formulations"]).per_gpu == 1
    assert parse(["sweep=formulations", "per_gpu=3"]).per_gpu == 3
    assert parse(["sweep=formulations", "per_gpu=auto"]).per_gpu is None


def test_words_of_slurm_are_kept_as_they_are():
    words = ["sweep=formulations", "launcher=slurm", "slurm.timeout=2-0", "timeout=5"]
    options = parse(words)
    assert options.slurm == {"timeout": "2-0"}
    assert (options.timeout, options.overrides) == (5, ())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "sweep=NAME is missing.*formulations"),
        (["sweep=nonsense"], "nonsense.*formulations"),
        (["sweep=formulations", "profile=huge"], "huge.*laptop"),
        (["sweep=formulations", "launcher=cloud"], "cloud.*inline"),
        (["sweep=formulations", "dry_run=maybe"], "maybe.*true or false"),
        (["sweep=formulations", "slots=0"], "slots='0'.*>= 1"),
        (["sweep=formulations", "slots=-1"], "slots='-1'"),
        (["sweep=formulations", "seeds=[0,x]"], "seeds.*whole numbers"),
        (["sweep=formulations", "seeds=[1,1]"], "twice"),
        (["sweep=formulations", "--fast"], "--fast.*name=value"),
        (["sweep=formulations", "seeds=[\u00b2]"], "seeds.*whole numbers"),
        (["sweep=formulations", "sweep=scaling"], "sweep is given twice"),
        (["sweep=formulations", "only=3d-sup,"], "only='3d-sup,'.*run ids"),
        (["sweep=formulations", "retry=some"], "some.*all.*failed.*none"),
        (["sweep=formulations", "tuned=1"], "tuned='1'.*true or false"),
        (["sweep=formulations", "per_gpu=0"], "per_gpu='0'.*>= 1"),
        (["sweep=formulations", "until="], "until=''.*2h30m"),
        (["sweep=formulations", "until=24:00"], "until='24:00'.*21:30"),
        (["sweep=formulations", "until=9:5"], "until='9:5'.*21:30"),
        (["sweep=formulations", "timeout=30m2h"], "timeout='30m2h'.*2h30m"),
        (["sweep=formulations", "timeout=1.5h"], "timeout='1.5h'.*2h30m"),
        (["sweep=formulations", "stall=0"], "stall='0'.*90s"),
        (["sweep=formulations", "console=loud"], "loud.*quiet.*json"),
        (["sweep=formulations", "slurm.partition=a"], "slurm.partition.*not with launcher=local"),
        (
            ["sweep=formulations", "launcher=slurm", "slurm.array=2", "slurm.array=2"],
            "slurm.array is given twice",
        ),
    ],
)
def test_wrong_words_are_named_with_the_choices(words, message):
    with pytest.raises(ConfigError, match=message):
        parse(words)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"output_dir=.*file/out cannot be written"):
        require_writable(tmp_path / "file" / "out")


def test_the_help_names_every_option_sweep_and_profile():
    text = usage()
    for option in fields(Options):
        assert (f"{option.name}=" in text) or option.name in ("slurm", "overrides", "began")
    assert "slurm.NAME=" in text
    for name in ("formulations", "scaling", "laptop", "smoke"):
        assert name in text


def test_help_and_mistakes_import_nothing_heavy(tmp_path):
    code = f"""
import runpy, sys
sys.argv = ["run.py", sys.argv[1]]
sys.path.insert(0, "")
try:
    runpy.run_path({RUN!r}, run_name="__main__")
except SystemExit as end:
    heavy = {{"torch", "mlflow", "pandas", "matplotlib", "hydra"}}
    print(end.code, sorted(heavy & set(sys.modules)))
"""
    for word, expected in (("--help", "0 []"), ("sweep=nonsense", "2 []")):
        command = [sys.executable, "-c", code, word]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.stdout.splitlines()[-1] == expected, done.stderr


def test_the_front_door_reports_mistakes_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for words in (
        ["sweep=formulations", "profile=smoke", "no.such.setting=1"],
        ["sweep=formulations", "profile=smoke", f"output_dir={tmp_path}/file/out"],
    ):
        done = front_door(*words, folder=tmp_path)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_dry_run_prints_every_run_and_writes_nothing(tmp_path):
    done = front_door("sweep=formulations", "profile=smoke", "dry_run=true", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "torch" not in done.stderr
    for text in ("flow-factored", "3d-sup++", "pretrain-", "pending", "(estimate)", "time left"):
        assert text in done.stdout
    assert list(tmp_path.iterdir()) == []
