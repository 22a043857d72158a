"""The sentence in front of a report, and the words its numbers are said in."""

from dataclasses import replace

import pytest

from analysis.answer import answer
from analysis.records import load_records
from analysis.statistics import Estimate
from analysis.wording import basis_text, interval_text, listed
from flow3r.files import read_json, write_json

UP = Estimate(2.0, 1.0, 3.0, 5, 512)
DOWN = Estimate(-2.0, -3.0, -1.0, 5, 512)
OPEN = Estimate(0.5, -0.5, 1.5, 5, 512)
ONE = Estimate(9.0, None, None, 1, 8)
TWO_ARMS = {"3d-sup": ("3d-sup", 0, 16, False), "flow-factored": ("flow-factored", 64, 16, False)}


def said(store, folder, **changes):
    recorded = store(arms=TWO_ARMS, scenes=12, **changes)
    return answer(load_records(recorded.write(folder), "formulations"))


def test_the_first_question_decides_and_the_others_are_counted(store, tmp_path):
    text = said(store, tmp_path)
    assert text.startswith(
        "Yes, at equal clips per step: flow-factored is better than 3d-sup on the dynamic scenes: "
        "RRA@15 +"
    )
    assert "(97.5 %, paired, 5 seeds × 12 scenes). " in text
    assert text.endswith("The other question of the sweep holds.")


def test_worse_is_no(store, tmp_path):
    text = said(store, tmp_path, effects={"flow-factored": -5.0})
    assert text.startswith("No, at equal clips per step: flow-factored is worse than 3d-sup")


def test_one_seed_claims_nothing(store, tmp_path):
    text = said(store, tmp_path, seeds=(3,))
    assert text.startswith("Undecided: one seed, no interval: nothing can be claimed; RRA@15 ")


def test_an_unfinished_sweep_claims_nothing(store, tmp_path, run_id):
    recorded = store(arms=TWO_ARMS, scenes=12, effects={"flow-factored": 50.0})
    recorded.write(tmp_path)
    status = tmp_path / "runs" / run_id("formulations", "flow-factored", 4) / "status.json"
    write_json(status, {**read_json(status), "state": "failed"})
    text = answer(load_records(tmp_path, "formulations"))
    assert text.startswith("Preliminary (9 of 10 runs finished): Undecided: ")
    assert "9 of the 10 planned runs of flow-factored and 3d-sup are finished" in text
    assert "nothing is claimed before all are; so far RRA@15 +" in text


def test_unequal_budgets_are_not_called_equal(store, tmp_path, run_id):
    store(arms=TWO_ARMS, scenes=4).write(tmp_path)
    status = tmp_path / "runs" / run_id("formulations", "3d-sup", 0) / "status.json"
    write_json(status, {**read_json(status), "step": 900})
    assert "equal clips" not in answer(load_records(tmp_path, "formulations"))


def test_numbers_in_words():
    assert interval_text("rra_15", OPEN) == "+0.5 points [−0.5, 1.5]"
    assert interval_text("rra_15", ONE) == "+9.0 points"
    assert interval_text("pointmap_mse", DOWN) == "−2.0000 [−3.0000, −1.0000]"
    assert basis_text([UP, OPEN]) == "5 seeds × 512 scenes"
    assert basis_text([UP, ONE]) == "1-5 seeds × 8-512 scenes"
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "a", "a and b", "a, b and c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("high", "text"),
    [(-0.02, "−0.02"), (0.004, "0.004"), (0.0, "0.0"), (-1e-5, "0.0"), (0.06, "0.1")],
)
def test_rounding_does_not_hide_on_which_side_of_zero_an_interval_ends(high, text):
    found = replace(OPEN, mean=-1.9, low=-3.7, high=high)
    assert interval_text("rra_15", found) == f"−1.9 points [−3.7, {text}]"
