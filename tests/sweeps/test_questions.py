"""Questions: checked when a sweep is planned, resolved to its arms, recorded with their time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from analysis.questions import question_from
from experiments import compose, identity, stages
from experiments.compose import choices, load_sweep
from flow3r.errors import ConfigError
from flow3r.files import read_json, write_json
from sweeps.ask import ask
from sweeps.planning.expansion import Experiments, expand
from sweeps.planning.plan_file import record_plan
from sweeps.planning.questions import resolve_questions, stated

SCALING = {"arm_prefix": "flow-", "axis": "unlabelled_clips"}
BASE = {
    "id": "q",
    "question": "Is it better?",
    "metric": "auc_30",
    "benchmark": "dynamic",
    "smallest_difference": 1.0,
    "difference": {"arm": "flow-16", "baseline": "plain"},
}


def arm(name, unlabelled=0, labelled=4, yardstick=False):
    return SimpleNamespace(
        name=name, labelled_clips=labelled, unlabelled_clips=unlabelled, yardstick=yardstick
    )


ARMS = [
    arm("plain", yardstick=True),
    arm("plain++", labelled=16, yardstick=True),
    *(arm(f"flow-{count}", count) for count in (0, 16, 64, 256)),
]


def resolved(*questions, scaling=SCALING):
    sweep = {"questions": list(questions), "scaling": scaling}
    return resolve_questions(sweep, ARMS, ["dynamic", "static"])


def changed(**changes):
    return {k: v for k, v in {**BASE, **changes}.items() if v is not None}


def test_a_question_is_recorded_as_it_stands():
    (record,) = resolved(changed(family="main"))
    assert record == {**BASE, "direction": "better", "family": "main"}
    assert question_from(record).difference == ("flow-16", "plain")


@pytest.mark.parametrize(
    ("place", "name"),
    [("largest", "flow-256"), ("smallest", "flow-0"), ("20x", "flow-64"), ("4x", "flow-16"),
     ("7x", "flow-16"), ("9x", "flow-64"), ("0.5x", "flow-16")],
)  # fmt: skip
def test_arms_of_a_scaling_axis_by_their_place(place, name):
    asked = changed(difference={"arm": {"unlabelled": place}, "baseline": "plain++"})
    (record,) = resolved(asked)
    assert record["difference"] == {"arm": name, "baseline": "plain++"}


def test_the_words_can_say_what_was_resolved():
    words = "Are {ratio} unlabelled clips of {arm} worth {labels} times the labels of {baseline}?"
    asked = changed(
        question=words, difference={"arm": {"unlabelled": "20x"}, "baseline": "plain++"}
    )
    (record,) = resolved(asked)
    assert record["question"] == (
        "Are 16 unlabelled clips of flow-64 worth 4 times the labels of plain++?"
    )


def test_an_order_has_tiers():
    asked = changed(difference=None, order=["flow-64", ["plain", "flow-16"], "flow-0"])
    (record,) = resolved(asked)
    assert record["order"] == [["flow-64"], ["plain", "flow-16"], ["flow-0"]]
    assert question_from(record).pairs() == [
        ("flow-64", "plain"), ("flow-64", "flow-16"), ("flow-64", "flow-0"), ("plain", "flow-0"),
        ("flow-16", "flow-0"),
    ]  # fmt: skip


def test_a_sweep_without_questions_states_none():
    assert resolve_questions({}, ARMS, ["dynamic"]) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "shininess"}, "shininess"),
        ({"benchmark": "nowhere"}, r"benchmark='nowhere'.*\['dynamic', 'static'\]"),
        ({"difference": {"arm": "nobody", "baseline": "plain"}}, r"arm='nobody'.*'flow-16'"),
        ({"difference": {"arm": "plain", "baseline": "plain"}}, "compared with itself"),
        ({"difference": {"arm": "plain"}}, "has an arm and a baseline"),
        ({"difference": {"arm": {"unlabelled": "most"}, "baseline": "plain"}}, "largest, smallest"),
        ({"difference": {"arm": {"labelled": "4x"}, "baseline": "plain"}}, "write a name, or"),
        ({"difference": None}, "exactly one of"),
        ({"slope": "unlabelled_clips"}, "exactly one of"),
        ({"difference": None, "slope": "clips"}, r"slope='clips'.*unlabelled_clips"),
        ({"difference": None, "order": ["plain"]}, "at least two tiers"),
        ({"difference": None, "order": ["plain", ["plain"]]}, "stands in it twice"),
        (
            {"difference": None, "order": ["plain", "flow-0"], "direction": "equal"},
            "ask for better",
        ),
        ({"direction": "sideways"}, r"direction='sideways'.*not-worse"),
        ({"direction": "equal", "smallest_difference": 0.0}, "above 0"),
        ({"smallest_difference": -1.0}, "must not be negative"),
        ({"smallest_difference": "much"}, "expected float"),
        ({"id": "Not a slug"}, "lower case"),
        ({"question": "What is {this}?"}, "unknown placeholder"),
        ({"sesoi": 1.0}, "unknown setting"),
        ({"metric": None}, "required setting is missing"),
    ],
)
def test_what_is_wrong_is_named_with_the_choices(changes, message):
    with pytest.raises(ConfigError, match=message) as error:
        resolved(changed(**changes))
    assert "questions[0]" in str(error.value)


def test_ids_are_unique_and_places_need_an_axis():
    with pytest.raises(ConfigError, match="used twice"):
        resolved(BASE, BASE)
    asked = changed(difference={"arm": {"unlabelled": "largest"}, "baseline": "plain"})
    with pytest.raises(ConfigError, match="no scaling axis"):
        resolved(asked, scaling=None)


def test_when_the_questions_were_stated():
    first = stated([BASE], None, 0)
    assert first["finished_runs"] == 0
    before = {"questions": [BASE], "questions_stated": first}
    assert stated([BASE], before, 7) is first
    assert stated([changed(smallest_difference=0.5)], before, 7)["finished_runs"] == 7


SHIPPED = [(name, profile) for name in choices("sweep") for profile in ("smoke", "laptop")]


@pytest.mark.parametrize(("name", "profile"), SHIPPED)
def test_every_shipped_sweep_states_its_questions(name, profile):
    try:
        sweep = load_sweep(name, profile)
    except ConfigError:
        pytest.skip(f"{name} is not laid out for {profile}")
    tools = Experiments(compose.compose, identity.run_id, stages.required_stages)
    plan = expand(sweep, profile, [], [0], tools)
    assert plan.questions, name
    for record in plan.questions:
        assert question_from(record).smallest_difference > 0


def test_the_shipped_questions_of_the_paper(tmp_path):
    """The order on both benchmarks; scaling; 20 times unlabelled clips against 4 times labels."""
    tools = Experiments(compose.compose, identity.run_id, stages.required_stages)
    plan = expand(load_sweep("formulations", "laptop"), "laptop", [], [0], tools)
    orders = {q["benchmark"]: q["order"] for q in plan.questions if "order" in q}
    assert set(orders) == {"static", "dynamic"}
    assert orders["dynamic"][0] == ["flow-factored"]
    plan = expand(load_sweep("scaling", "laptop"), "laptop", [], [0], tools)
    asked = {q["id"]: q for q in plan.questions}
    assert asked["every-doubling"]["slope"] == "unlabelled_clips"
    assert asked["twenty-times"]["difference"]["baseline"] == "3d-sup++"
    assert asked["twenty-times"]["question"].startswith("Are 16 unlabelled clips per labelled one")


def recorded(folder, tiny, questions):
    plan = expand({**tiny.sweep, "questions": questions}, "smoke", [], None, tiny.fake().tools())
    record_plan(plan, folder)
    return plan, read_json(folder / "reports/tiny/plan.json")


def test_plan_json_holds_the_questions_and_when_they_were_stated(tiny, tmp_path, monkeypatch):
    asked = changed(difference={"arm": "flow", "baseline": "plain"})
    monkeypatch.setattr("sweeps.planning.expansion._scored", lambda runs: ["dynamic"])
    plan, record = recorded(tmp_path, tiny, [asked])
    assert record["questions"][0]["difference"] == {"arm": "flow", "baseline": "plain"}
    assert record["questions_stated"]["finished_runs"] == 0
    run = tmp_path / "runs" / plan.runs[0].run_id
    write_json(run / "status.json", {"state": "done"})
    assert recorded(tmp_path, tiny, [asked])[1] == record  # the same questions: stated before
    later = recorded(tmp_path, tiny, [{**asked, "smallest_difference": 0.5}])[1]
    assert later["questions_stated"]["finished_runs"] == 1


def test_questions_can_be_put_to_an_older_study(tmp_path):
    counts = {"3d-sup": 0, "flow-projective": 8, "flow-tracking": 8, "flow-factored": 8,
              "flow-labelled": 0, "3d-sup++": 0}  # fmt: skip
    arms = [
        {"arm": name, "formulation": name, "unlabelled_clips": count, "labelled_clips": 2,
         "yardstick": name == "3d-sup++"}
        for name, count in counts.items()
    ]  # fmt: skip
    plan = {"sweep": "formulations", "profile": "smoke", "scaling": None, "arms": arms,
            "runs": [{"arm": "3d-sup", "seed": 0, "run_id": "r0"}]}  # fmt: skip
    path = tmp_path / "reports/formulations/plan.json"
    write_json(path, plan)
    write_json(tmp_path / "runs/r0/status.json", {"state": "done"})
    write_json(tmp_path / "runs/r0/evaluation.json", {"benchmarks": {"static": {}, "dynamic": {}}})
    assert ask(tmp_path, "formulations") == len(load_sweep("formulations", "smoke")["questions"])
    found = read_json(path)
    assert found["questions_stated"]["finished_runs"] == 1
    assert {k: found[k] for k in plan} == plan
