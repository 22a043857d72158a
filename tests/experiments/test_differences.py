"""What differs between two specs, in the words of the command line."""

from experiments.compose import compose
from experiments.differences import differences


def test_a_changed_setting_is_named_with_both_values():
    stages = [{"name": "head", "lr": 0.001}, {"name": "joint", "lr": 0.001}]
    before = {"seed": 0, "training": {"stages": stages, "clip": None}, "sizes": [1, 2]}
    changed = [stages[0], {**stages[1], "lr": 0.002}]
    after = {"seed": 0, "training": {"stages": changed, "clip": None}, "sizes": [1, 3]}
    assert differences(before, before) == []
    assert differences(before, after) == [
        "training.stages.1.lr 0.001 -> 0.002",
        "sizes [1, 2] -> [1, 3]",
    ]


def test_what_only_one_has_is_absent_in_the_other():
    before = {"a": 1, "several": [{"x": 1}]}
    after = {"b": "", "several": [{"x": 1}, {"x": 2}]}
    assert differences(before, after) == [
        "a 1 -> absent",
        'several.1 absent -> {"x": 2}',
        'b absent -> ""',
    ]


def test_long_values_are_cut():
    [line] = differences({"a": "x"}, {"a": "y" * 100})
    assert line == f"a x -> {'y' * 37}..."


def test_where_the_same_content_lies_is_no_difference():
    before = {"weights": "/a", "content": "1"}
    assert differences(before, {"weights": "/b", "content": "1"}) == []
    assert differences(before, {"weights": "/a", "content": "2"}) == ["content 1 -> 2"]


def test_an_override_is_found_under_its_own_name():
    before, after = (
        compose(["profile=smoke", f"training.stages.1.lr={lr}"]).spec for lr in (0.1, 0.2)
    )
    assert differences(before, after) == ["training.stages.1.lr 0.1 -> 0.2"]
