"""Holds, fails, undecided: the rule, its correction, and what it says of planted studies."""

from types import SimpleNamespace

import pytest

from analysis.records import load_records
from analysis.verdict_words import sentence, verdict_record, verdict_table
from analysis.verdicts import answer_questions, decide, step_down
from flow3r.errors import DataError
from flow3r.files import read_json, write_json


@pytest.mark.parametrize(
    ("direction", "difference", "low", "high", "expected"),
    [
        ("better", 2.0, 1.2, 2.8, "holds"),  # wholly above the smallest difference of interest
        ("better", 1.2, 0.1, 2.3, "holds"),  # as large as asked for, and not zero
        ("better", 0.8, 0.1, 1.5, "undecided"),  # an advantage; whether it matters is open
        ("better", 0.4, 0.1, 0.7, "fails"),  # an advantage that does not matter
        ("better", 0.0, -0.9, 0.9, "fails"),  # an effect that matters is excluded
        ("better", -2.0, -3.0, -1.0, "fails"),
        ("better", 0.5, -1.0, 2.0, "undecided"),
        ("not-worse", 0.0, -0.9, 0.9, "holds"),
        ("not-worse", 2.0, 1.0, 3.0, "holds"),
        ("not-worse", -1.2, -2.3, -0.1, "fails"),
        ("not-worse", -0.5, -1.2, 0.2, "undecided"),
        ("not-worse", -0.8, -1.5, -0.1, "undecided"),
        ("equal", 0.0, -0.9, 0.9, "holds"),
        ("equal", 0.4, 0.1, 0.7, "holds"),
        ("equal", 2.0, 1.0, 3.0, "fails"),
        ("equal", -2.0, -3.0, -1.0, "fails"),
        ("equal", 0.5, -0.5, 1.5, "undecided"),
        ("equal", 0.8, 0.1, 1.5, "undecided"),
    ],
)
def test_the_rule(direction, difference, low, high, expected):
    assert decide(direction, difference, low, high, 1.0) == expected


def test_the_directions_are_duals():
    """Better fails where not-worse, turned round, holds; and the other way about."""
    for difference in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0):
        for half in (0.2, 0.6, 1.3):
            low, high = difference - half, difference + half
            better = decide("better", difference, low, high, 1.0)
            turned = decide("not-worse", -difference, -high, -low, 1.0)
            opposite = {"holds": "fails", "fails": "holds", "undecided": "undecided"}
            assert turned == opposite[better], (difference, half)


def test_without_a_smallest_difference_zero_decides():
    assert decide("better", 0.1, 0.05, 0.15, 0.0) == "holds"
    assert decide("better", -0.1, -0.15, -0.05, 0.0) == "fails"
    assert decide("better", 0.1, -0.05, 0.25, 0.0) == "undecided"


def judge_with_p(p):
    """A test of that p, decided at a level where it is significant; it records the level."""
    return lambda level: SimpleNamespace(decided=p <= 1 - level, level=level)


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([0.01, 0.02, 0.04], [True, True, True]),  # 0.0167, 0.025, 0.05
        ([0.01, 0.03, 0.04], [True, False, False]),  # stops at 0.025
        ([0.02, 0.001, 0.5], [True, True, False]),
        ([0.03, 0.04, 0.05], [False, False, False]),
        ([0.04], [True]),
    ],
)
def test_step_down_is_holms_procedure(p_values, rejected):
    found = step_down([judge_with_p(p) for p in p_values], lambda judged: judged.decided)
    assert [judged.decided for judged in found] == rejected
    open_ = rejected.count(False)
    for judged in found:  # what stays open was judged at the level that applied to the rest
        assert judged.decided or judged.level == pytest.approx(1 - 0.05 / open_)


def difference(name, arm, baseline="3d-sup", smallest=1.0, **changes):
    return {
        "id": name,
        "question": f"{name}?",
        "metric": "auc_30",
        "benchmark": "dynamic",
        "smallest_difference": smallest,
        "direction": "better",
        "difference": {"arm": arm, "baseline": baseline},
        **changes,
    }


def answers(recorded, folder):
    records = load_records(recorded.write(folder), recorded.sweep)
    return {answer.question.id: answer for answer in answer_questions(records)}


def test_planted_effects_are_answered(store, tmp_path):
    """Effects in points of AUC@30: factored +1.2, tracking +0.6, projective -0.8, ++ +2.4."""
    recorded = store(
        scenes=40,
        noise=0.05,
        questions=[
            difference("large", "flow-factored"),
            difference("small", "flow-tracking"),
            difference("worse", "flow-projective"),
            difference("worth", "flow-factored", "3d-sup++", direction="not-worse"),
            difference("near", "flow-tracking", direction="equal"),
        ],
    )
    found = answers(recorded, tmp_path)
    assert {name: answer.verdict for name, answer in found.items()} == {
        "large": "holds",
        "small": "fails",
        "worse": "fails",
        "worth": "fails",
        "near": "holds",
    }
    said = {name: sentence(answer) for name, answer in found.items()}
    assert said["large"].startswith("Holds: flow-factored is better than 3d-sup on the dynamic")
    assert (
        "is better than 3d-sup on the dynamic scenes, but by less than 1.0 points" in said["small"]
    )
    assert said["worse"].startswith("Fails: flow-projective is worse than 3d-sup")
    assert said["worth"].startswith("Fails: flow-factored is worse than 3d-sup++")
    assert said["near"].startswith(
        "Holds: flow-tracking equals 3d-sup on the dynamic scenes within"
    )


def test_an_error_is_better_when_it_is_smaller(store, tmp_path):
    question = difference("points", "flow-factored", smallest=0.001, metric="pointmap_mse")
    recorded = store(scenes=30, noise=0.05, questions=[question])
    found = answers(recorded, tmp_path)["points"]
    assert found.verdict == "holds"
    assert found.decisive.found.mean < 0
    assert "pointmap MSE −0.00" in sentence(found)


def test_questions_of_a_family_are_corrected_together(store, tmp_path):
    asked = [difference("alone", "flow-labelled")]
    asked += [difference(f"of-{n}", "flow-labelled", family="three") for n in range(3)]
    found = answers(store(scenes=6, questions=asked), tmp_path)
    assert found["alone"].decisive.found.level == 0.95
    assert found["of-0"].decisive.found.level == pytest.approx(1 - 0.05 / 3)
    alone, three = (found[name].decisive.found for name in ("alone", "of-0"))
    assert three.half_width > alone.half_width


def test_slope_of_a_scaling_sweep(scaling, tmp_path):
    question = {
        "id": "slope", "question": "More?", "metric": "auc_30", "benchmark": "dynamic",
        "smallest_difference": 0.1, "direction": "better", "slope": "unlabelled_clips",
    }  # fmt: skip
    found = answers(scaling(scenes=30, questions=[question]), tmp_path)["slope"]
    assert found.verdict == "holds"
    assert found.decisive.found.mean == pytest.approx(0.2, abs=0.05)  # planted: 0.5 x 4 / 10
    assert sentence(found).startswith("Holds: every doubling of the unlabelled clips adds on the")


def test_no_claim_before_the_planned_runs_are_finished(store, tmp_path, run_id):
    recorded = store(
        scenes=8, effects={"flow-factored": 80.0, "flow-tracking": 80.0},
        questions=[difference("one", "flow-factored"), difference("other", "flow-tracking")],
    )  # fmt: skip
    recorded.write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "flow-factored", 4) / "status.json"
    write_json(path, {**read_json(path), "state": "running"})
    records = load_records(tmp_path, "formulations")
    one, other = answer_questions(records)
    assert (one.verdict, other.verdict) == ("undecided", "holds")  # the other's runs are all there
    assert "9 of the 10 planned runs of flow-factored and 3d-sup are finished" in sentence(one)
    assert one.decisive.found.level > 0.95


def test_one_seed_and_no_common_run(store, tmp_path, run_id):
    recorded = store(scenes=4, seeds=(0,), questions=[difference("q", "flow-factored")])
    found = answers(recorded, tmp_path)["q"]
    assert (found.verdict, found.decisive.found.low) == ("undecided", None)
    record = verdict_record(found)
    assert (record["low"], record["level"], record["seeds"]) == (None, None, 1)
    path = tmp_path / "runs" / run_id("formulations", "flow-factored", 0) / "status.json"
    write_json(path, {**read_json(path), "state": "failed"})
    (found,) = answer_questions(load_records(tmp_path, "formulations"))
    assert verdict_record(found)["estimate"] is None
    assert "1 of the 2 planned runs" in sentence(found)


def test_a_metric_that_no_run_has(store, tmp_path):
    found = answers(store(scenes=3, questions=[difference("q", "flow-factored", metric="ate")]),
                    tmp_path)["q"]  # fmt: skip
    assert found.verdict == "undecided"
    assert "the metric is defined in no common run" in sentence(found)


def test_all_equal_values_fail_a_claim_of_an_advantage(store, tmp_path):
    recorded = store(
        scenes=4, effects={}, noise=0.0,
        questions=[
            difference("some", "flow-factored"),
            difference("any", "flow-factored", smallest=0.0),
            difference("same", "flow-factored", direction="equal"),
        ],
    )  # fmt: skip
    found = answers(recorded, tmp_path)
    assert {name: answer.verdict for name, answer in found.items()} == {
        "some": "fails",
        "any": "undecided",
        "same": "holds",
    }


def test_record_and_table(store, tmp_path):
    found = answers(store(scenes=6, questions=[difference("q", "flow-factored")]), tmp_path)
    record = verdict_record(found["q"])
    assert {"id", "question", "verdict", "metric", "benchmark", "estimate", "low", "high",
            "sentence"} <= set(record)  # fmt: skip
    assert (record["arm"], record["baseline"]) == ("flow-factored", "3d-sup")
    assert record["low"] < record["estimate"] < record["high"]
    table = verdict_table(list(found.values()))
    assert table.rows[0][:4] == ("q?", record["verdict"], "flow-factored − 3d-sup",
                                 "dynamic AUC@30")  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "shininess"}, "shininess"),
        ({"difference": {"arm": "nobody", "baseline": "3d-sup"}}, "unknown arm 'nobody'"),
        ({"difference": None}, "exactly one comparison"),
        ({"direction": "sideways"}, "direction='sideways'"),
        ({"difference": None, "slope": "unlabelled_clips"}, "no scaling axis"),
    ],
)
def test_a_plan_with_an_impossible_question_is_refused(store, tmp_path, change, message):
    recorded = store(
        scenes=2, seeds=(0,), questions=[{**difference("q", "flow-factored"), **change}]
    )
    with pytest.raises(DataError, match=message):
        load_records(recorded.write(tmp_path), "formulations")
