"""The verdict and the words of the answer, for every pattern of intervals."""

import pytest

from analysis.answer import overall
from analysis.statistics import Estimate
from analysis.wording import basis_text, differences_text, interval_text, listed

UP = Estimate(2.0, 1.0, 3.0, 5, 512)
DOWN = Estimate(-2.0, -3.0, -1.0, 5, 512)
OPEN = Estimate(0.5, -0.5, 1.5, 5, 512)
ONE = Estimate(9.0, None, None, 1, 8)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ((UP, UP), "Yes"),
        ((UP, OPEN), "Yes"),
        ((OPEN, OPEN), "Undecided"),
        ((DOWN, OPEN), "No"),
        ((DOWN, DOWN), "No"),
        ((UP, DOWN), "Mixed"),
        ((ONE, ONE), "Undecided"),
    ],
)
def test_verdict(differences, expected):
    assert overall(list(zip(("rra_15", "auc_30"), differences))) == expected


def test_lower_is_better_for_an_error():
    assert overall([("pointmap_mse", DOWN)]) == "Yes"
    assert overall([("pointmap_mse", UP)]) == "No"


def test_numbers_in_words():
    assert interval_text("rra_15", OPEN) == "+0.5 points [−0.5, 1.5]"
    assert interval_text("rra_15", ONE) == "+9.0 points"
    found = [("rra_15", UP), ("auc_30", OPEN), ("pointmap_mse", DOWN)]
    assert differences_text(found) == (
        "RRA@15 +2.0 points [1.0, 3.0], AUC@30 +0.5 [−0.5, 1.5], "
        "pointmap MSE −2.0000 [−3.0000, −1.0000]"
    )
    assert basis_text([UP, OPEN]) == "5 seeds × 512 scenes"
    assert basis_text([UP, ONE]) == "1-5 seeds × 8-512 scenes"
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "a", "a and b", "a, b and c",
    ]  # fmt: skip
