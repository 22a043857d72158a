"""The numbers behind the figures; the pictures themselves were looked at."""

import numpy as np
import pandas as pd
import pytest

from analysis import figures
from analysis.metrics import heading, number
from analysis.records import learning_curves, load_records
from analysis.style import FIXED, arm_styles
from analysis.summary import summarise


def test_curve_band_is_mean_and_range_over_seeds():
    rows = pd.DataFrame(
        {"seed": [0, 1, 0, 1], "step": [10, 10, 20, 20], "value": [1.0, 3.0, 2.0, 6.0]}
    )
    band = figures.curve_band(rows)
    assert band.to_dict("list") == {
        "step": [10, 20], "mean": [2.0, 4.0], "min": [1.0, 2.0], "max": [3.0, 6.0],
    }  # fmt: skip


def test_curve_band_bins_long_curves_without_moving_them():
    steps = np.arange(1, 1001)
    rows = pd.DataFrame({"seed": 0, "step": steps, "value": 2.0 * steps})
    band = figures.curve_band(rows, bins=50)
    assert len(band) == 50
    np.testing.assert_allclose(band["mean"], 2 * band["step"])


def test_forest_draws_the_differences(store, tmp_path):
    records = load_records(store(seeds=(0, 1), scenes=4).write(tmp_path), "formulations")
    numbers = summarise(records, 100)
    figure = figures.forest_figure(records, numbers, ["rra_15", "auc_30"])
    ax = figure.axes[0]
    expected = numbers.difference("flow-projective", "3d-sup", "static", "rra_15")
    intervals = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
    assert any(np.allclose(x, [expected["low"], expected["high"]]) for x in intervals)
    assert ax.get_yticklabels()[0].get_text() == "flow-projective"


def test_no_learning_figure_without_curves(store, tmp_path):
    records = load_records(store(seeds=(0,), scenes=2).write(tmp_path), "formulations")
    curves = learning_curves(records)
    assert figures.learning_figure(records, curves, ["train/nothing"]) is None


@pytest.mark.parametrize("arms", [{}, {"mine": ("flow-factored", 8, 16, False)}])
def test_colours_are_fixed_and_distinct(store, tmp_path, arms):
    recorded = store(seeds=(0,), scenes=2)
    recorded.arms.update(arms)
    records = load_records(recorded.write(tmp_path), "formulations")
    styles = arm_styles(records.plan)
    assert styles["flow-factored"] == FIXED["flow-factored"]
    used = [styles[arm] for arm in recorded.arms]
    assert len(set(used)) == len(used)


def test_numbers_as_written():
    assert number("rra_15", -1.26, signed=True) == "−1.3"
    assert number("pointmap_mse", 0.12345) == "0.1235"
    assert number("rra_15", -0.04, signed=True) == "+0.0"
    assert number("rra_15", None) == number("rra_15", float("nan")) == "–"
    assert heading("flow_epe") == "flow EPE (px) ↓"
