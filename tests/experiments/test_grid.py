"""Arms out of axes and constraints: ordered, complete, and mistakes are named."""

import pytest

from experiments.compose import load_sweep
from experiments.grid import grid_arms
from flow3r.errors import ConfigError

GRID = {
    "name": "{head}-{clips}",
    "overrides": ["teacher=noisy"],
    "axes": {
        "head": {"values": {"factored": ["formulation=f", "steps=2"], "tracking": []}},
        "clips": {"key": "data.clips", "values": [0, 64]},
    },
    "exclude": [{"head": "tracking", "clips": 0}],
}


def grid(**changes):
    return grid_arms({**GRID, **changes}, {})


def test_every_combination_but_the_excluded_ones_is_an_arm_in_order():
    assert list(grid().items()) == [
        (
            "factored-0",
            {"overrides": ["teacher=noisy", "formulation=f", "steps=2", "data.clips=0"]},
        ),
        (
            "factored-64",
            {"overrides": ["teacher=noisy", "formulation=f", "steps=2", "data.clips=64"]},
        ),
        ("tracking-64", {"overrides": ["teacher=noisy", "data.clips=64"]}),
    ]


def test_one_axis_alone_excludes_all_its_combinations():
    assert list(grid(exclude=[{"clips": 64}])) == ["factored-0", "tracking-0"]
    assert len(grid(exclude=[])) == 4


def test_a_profile_gives_the_values_of_an_axis():
    axes = {"clips": {"key": "data.clips"}}
    arms = grid_arms({"name": "n{clips}", "axes": axes}, {"clips": [1, 2, None]})
    assert list(arms) == ["n1", "n2", "nnull"]
    assert arms["nnull"] == {"overrides": ["data.clips=null"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exclude": [{"heads": "tracking"}]}, r"axis='heads'.*\['head', 'clips'\]"),
        ({"exclude": [{"clips": 9}]}, r"clips='9' is not valid; choose one of \['0', '64'\]"),
        ({"exclude": ["tracking"]}, r"grid\.exclude: 'tracking' names no axis"),
        ({"exclude": [{"clips": 0}, {"clips": 64}]}, r"grid\.exclude leaves no arm"),
        ({"name": "{head}"}, r"grid\.name='\{head\}': two arms are called 'factored'"),
        ({"name": "{seed}"}, r"grid\.name='\{seed\}'.*\['head', 'clips'\]"),
        ({"axes": {"a": {"key": "x"}}}, r"grid\.axes\.a: values are missing"),
        ({"axes": {"a": {"values": [1]}}}, r"grid\.axes\.a: a list of values needs a key"),
        ({"axes": {"a": {"key": "x", "values": [1, "1"]}}}, r"grid\.axes\.a: .* name one twice"),
        ({"axes": {"a": {"key": "x", "values": {"b": []}}}}, r"key='x' does not go with"),
        ({"axes": {"a": {"kye": "x"}}}, r"grid\.axes\.a\.kye: unknown setting"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        grid(**changes)


def test_values_of_an_axis_that_is_not_there_name_the_axes():
    with pytest.raises(ConfigError, match=r"grid_values='clip' .*\['head', 'clips'\]"):
        grid_arms(GRID, {"clip": [1]})


def test_the_points_of_the_scaling_sweep_come_after_its_yardsticks():
    sweep = load_sweep("scaling", "smoke")
    counts = [f"flow-factored-{count}" for count in (0, 1, 2, 4, 8, 16)]
    assert list(sweep["arms"]) == ["3d-sup", "3d-sup++", "3d-sup-compute", *counts]
    assert sweep["arms"]["flow-factored-4"] == {
        "overrides": ["formulation=flow-factored", "data.unlabelled_clips=4"]
    }
    assert sweep["headline"]["arm"] == "flow-factored-16"
    assert not {"grid", "grid_values"} & set(sweep)
