"""The simulation of a very large set of videos, on a small one."""

import json

import pytest

from experiments import scale
from flow3r.errors import ConfigError

pytest.importorskip("pyarrow")


def test_every_part_reports_time_memory_and_its_check(capsys):
    assert scale.main(["clips=2000", "per_step=16", "processes=3"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    parts = {record["part"]: record for record in records}
    assert all(record["seconds"] >= 0 and record["resident"] > 0 for record in records)
    assert all(record["peak"] >= record["resident"] - 1 for record in records)
    assert parts["choose 10 % and 20 % by number"]["chosen"] == [200, 400]
    by_share = parts["choose 10 % and 20 % by share"]
    assert by_share["nested"]
    assert by_share["chosen"][0] == pytest.approx(200, abs=60)
    assert parts["clips of 3 processes in 50 steps"]["duplicates"] == 0
    epoch = parts["an epoch on one process"]
    assert (epoch["steps"], epoch["most_often"]) == (125, 1)
    mixed = parts["an epoch on one process of three sources"]
    assert 2 <= mixed["most_often"] <= 5  # a tenth of the clips gets half the draws of 3 processes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["videos=3"], "unknown arguments.*clips"),
        (["clips=99"], "at least 100"),
        (["clips=many"], "clips='many'"),
        (["processes=65"], r"processes=65 must lie in 1\.\.64"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        scale.main(arguments)
