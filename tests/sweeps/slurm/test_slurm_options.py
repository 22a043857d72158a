"""The words slurm.NAME=value."""

from __future__ import annotations

from dataclasses import fields

import pytest

from flow3r.errors import ConfigError
from sweeps.executors.slurm.options import _READERS, SlurmOptions


def test_every_option_can_be_given():
    assert {*_READERS, "extra"} == {entry.name for entry in fields(SlurmOptions)}
    words = {"partition": "gpu", "account": "lab", "qos": "long", "time": "240", "mem": "16G"}
    words |= {"gpus": "2", "cpus": "8", "parallel": "4", "runs_per_job": "3", "notice": "300"}
    words |= {"poll": "1m", "extra.constraint": "a100", "extra.mail_type": "FAIL"}
    assert SlurmOptions.parse(words) == SlurmOptions(
        *("gpu", "lab", "long", 240, "16G", 2, 8, 4, 3, 300, 60.0),
        extra={"constraint": "a100", "mail-type": "FAIL"},
    )


@pytest.mark.parametrize(
    ("word", "value", "said"),
    [
        ("partitions", "gpu", r"slurm.partitions is not known; choose among \['partition'"),
        ("time", "4:00:00", "slurm.time='4:00:00' .* slurm.time=240 for 4 hours"),
        ("time", "0", "whole number >= 1"),
        ("mem", "16 GB", "slurm.mem='16 GB' .* 16G"),
        ("gpus", "0", "slurm.gpus='0'"),
        ("runs_per_job", "many", "slurm.runs_per_job='many'"),
        ("notice", "3600", "slurm.notice=3600 seconds is not less than slurm.time=60"),
        ("partition", "", "slurm.partition is empty"),
        ("extra.partition", "gpu", "slurm.extra.partition: write slurm.partition="),
        ("extra.cpus_per_task", "4", "write slurm.cpus="),
        ("extra.array", "0-9", "the sweep sets --array itself"),
        ("extra.", "x", "names no parameter of sbatch"),
    ],
)
def test_a_mistake_is_named_with_the_choices(word, value, said):
    with pytest.raises(ConfigError, match=said):
        SlurmOptions.parse({word: value})
