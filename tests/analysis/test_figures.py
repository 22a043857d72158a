"""The numbers behind the figures; the pictures themselves were looked at."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from analysis import figures
from analysis.figures.conditions import bin_scenes
from analysis.figures.differences import forest_axes
from analysis.figures.scenes import scene_means, share_better
from analysis.metrics import heading, number
from analysis.records import learning_curves, load_records
from analysis.scaling import scaling_curve
from analysis.style import COLUMN_WIDTH, FIXED, PAGE_WIDTH, arm_styles, figure_style, save_figure
from analysis.summary import summarise

WIDTHS = (PAGE_WIDTH, COLUMN_WIDTH)


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


@pytest.fixture(scope="module")
def recorded(store, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("recorded")
    return load_records(store(seeds=(0, 1, 2), scenes=20).write(output_dir), "formulations")


@pytest.fixture(scope="module")
def numbers(recorded):
    return summarise(recorded)


def intervals(ax):
    return [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]


@pytest.mark.parametrize("width", WIDTHS)
def test_forest_draws_the_differences(recorded, numbers, width):
    figure = figures.forest_figure(recorded, numbers, ["rra_15", "auc_30"], width=width)
    assert figure.get_figwidth() == width
    titles = [" ".join(ax.get_title().replace(":", "").split()) for ax in figure.axes]
    ax = figure.axes[titles.index("static RRA@15 (%) ↑")]
    expected = numbers.difference("flow-projective", "3d-sup", "static", "rra_15")
    assert any(np.allclose(x, [expected["low"], expected["high"]]) for x in intervals(ax))
    assert ax.get_yticklabels()[0].get_text() == "flow-projective"


def test_a_figure_is_saved_twice_and_the_same_each_time(recorded, numbers, tmp_path):
    figure = figures.forest_figure(recorded, numbers, ["rra_15"], ["static"], COLUMN_WIDTH)
    png, pdf = save_figure(figure, tmp_path / "a" / "forest")
    assert png.read_bytes()[16:20] == int(200 * COLUMN_WIDTH).to_bytes(4, "big")  # 200 dpi
    assert pdf.read_bytes().startswith(b"%PDF")
    again = save_figure(figure, tmp_path / "b" / "forest")
    assert [path.read_bytes() for path in again] == [png.read_bytes(), pdf.read_bytes()]


def test_a_filled_marker_means_that_the_interval_excludes_zero(recorded, numbers):
    figure = figures.forest_figure(recorded, numbers, ["rra_15"], ["dynamic"])
    arms = [arm for arm in recorded.plan.arms if arm.name != "3d-sup"]
    points = [line for line in figure.axes[0].lines if line.get_marker() != "None"]
    assert len(points) == len(arms)
    for arm, point in zip(arms, points):
        row = numbers.difference(arm.name, "3d-sup", "dynamic", "rra_15")
        decided = row["low"] > 0 or row["high"] < 0
        assert (point.get_markerfacecolor() != "white") == decided


def test_an_axis_of_rounding_errors_is_one_of_points():
    with figure_style():
        _, axes = plt.subplots(1, 2)
        axes[0].plot([0, -3e-17], [0, 1])
        axes[1].plot([0, 1e-4], [0, 1])
        for ax in axes:
            forest_axes(ax, ["a", "b"])
    assert axes[0].get_xlim() == (-1, 1)
    assert axes[1].get_xlim()[1] < 1e-3
    plt.close("all")


def test_scene_by_scene(recorded):
    means = scene_means(recorded, ["3d-sup", "flow-factored"], "dynamic", "rra_15")
    assert means.shape == (2, 20)
    assert share_better("rra_15", np.array([1.0, 2.0, -1.0, 0.0])) == (
        "better 50 %, worse 25 %, equal 25 %"
    )
    assert share_better("pointmap_mse", np.array([1.0, 0.0])) == (
        "better 0 %, worse 50 %, equal 50 %"
    )
    names = ["rra_15", "pointmap_mse"]
    for width in WIDTHS:
        figure = figures.scene_figure(recorded, "flow-factored", "3d-sup", "dynamic", names, width)
        assert len(figure.axes) == 2
        assert all("better" in ax.get_title() for ax in figure.axes)


def test_a_score_with_few_levels_is_counted(recorded, monkeypatch):
    means = np.array([[0.0, 0.0, 50.0, 100.0], [0.0, 50.0, 50.0, 100.0]])
    monkeypatch.setattr("analysis.figures.scenes.scene_means", lambda *_: means)
    figure = figures.scene_figure(recorded, "flow-factored", "3d-sup", "dynamic", ["rra_15"])
    counts = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert counts == {(0, 0): "1", (0, 1): "1", (1, 1): "1", (2, 2): "1"}


def test_groups_of_scenes_along_a_covariate():
    scenes = [f"s{i}" for i in range(41)]
    covariate = pd.Series(np.arange(40.0), index=scenes[:40], name="covisibility")
    binned = bin_scenes(covariate, scenes)  # the last scene has no covariate
    assert [len(group) for group in binned.members] == [8, 8, 8, 8, 8]
    np.testing.assert_allclose(binned.centres, [3.5, 11.5, 19.5, 27.5, 35.5])
    constant = pd.Series(0.0, index=scenes, name="moving_share")
    assert bin_scenes(constant, scenes) is None
    assert bin_scenes(covariate[:10], scenes[:10]) is None


def test_conditions_need_covariates(recorded, store, tmp_path):
    assert figures.conditions_figure(recorded, "dynamic", "auc_30") is None
    rows = [
        {"benchmark": "dynamic", "scene": scene, "covariate": "covisibility", "value": float(i)}
        for i, scene in enumerate(sorted(recorded.scores["scene"].unique())[:20])
    ]
    known = load_records(store(seeds=(0, 1), scenes=20).write(tmp_path), "formulations")
    object.__setattr__(known, "covariates", pd.DataFrame(rows))
    for width in WIDTHS:
        figure = figures.conditions_figure(known, "dynamic", "auc_30", width)
        assert len(figure.axes) == 2
        assert "covisible" in figure.axes[1].get_xlabel()


def test_profiles_and_probability_of_improvement(recorded):
    for width in WIDTHS:
        profiles = figures.profile_figure(recorded, "dynamic", ["auc_30", "pointmap_mse"], width)
        assert len(profiles.axes) == 4
        for line in profiles.axes[0].lines:
            assert (np.diff(line.get_ydata()) <= 1e-12).all()  # fewer are better than more
    figure = figures.improvement_figure(recorded, ["dynamic"], "auc_30")
    ends = np.concatenate(intervals(figure.axes[0]))
    assert ends.min() >= 0
    assert ends.max() <= 1
    assert figures.profile_figure(recorded, "dynamic", ["ate"]) is None


def test_scaling_shows_every_fit_and_the_yardsticks(scaling, tmp_path):
    records = load_records(scaling(scenes=8).write(tmp_path), "scaling")
    curve = scaling_curve(records, summarise(records), "dynamic", "rra_15")
    for width in WIDTHS:
        figure = figures.scaling_figure(records, [curve], width)
        labels = {line.get_label() for line in figure.axes[0].lines}
        assert {"3d-sup", "3d-sup++", "chosen fit (AICc)", "extrapolated"} <= labels
        assert sum(str(label).endswith(" fit") for label in labels) == len(curve.fits) - 1
    (chosen,) = [line for line in figure.axes[0].lines if line.get_label() == "chosen fit (AICc)"]
    assert chosen.get_xdata().max() == 4096  # solid up to the data, dashed beyond
    assert len(figures.gain_figure(records, [curve]).axes) == 1


def test_no_learning_figure_without_curves(recorded):
    curves = learning_curves(recorded)
    assert figures.learning_figure(recorded, curves, ["train/nothing"]) is None
    assert figures.training_curves(curves) == ["train/loss"]
    shown = figures.validation_curves(curves)
    assert shown == ["validation/dynamic/rra_15", "validation/dynamic/auc_30"]
    for width in WIDTHS:
        assert len(figures.learning_figure(recorded, curves, shown, width).axes) == 2


@pytest.mark.parametrize("arms", [{}, {"mine": ("flow-factored", 8, 16, False)}])
def test_styles_are_fixed_and_distinct_without_colour(store, tmp_path, arms):
    recorded = store(seeds=(0, 1), scenes=2)
    recorded.arms.update(arms)
    styles = arm_styles(load_records(recorded.write(tmp_path), "formulations").plan)
    assert styles["flow-factored"] == FIXED["flow-factored"]
    used = [styles[arm] for arm in recorded.arms]
    assert len({style.colour for style in used}) == len(used)
    assert len({style.marker for style in used}) == len(used)


def test_numbers_as_written():
    assert number("rra_15", -1.26, signed=True) == "−1.3"
    assert number("pointmap_mse", 0.12345) == "0.1235"
    assert number("rra_15", -0.04, signed=True) == "+0.0"
    assert number("rra_15", None) == number("rra_15", float("nan")) == "–"
    assert heading("flow_epe") == "flow EPE (px) ↓"
