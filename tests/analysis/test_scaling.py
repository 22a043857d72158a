"""The scaling curve of a planted store."""

import numpy as np
import pytest

from analysis.plan import Arm
from analysis.records import load_records
from analysis.scaling import curve_arms, run_points, scaling_curve, slope_weights, unit_of
from analysis.summary import summarise
from flow3r.errors import DataError
from flow3r.files import read_json, write_json

COUNTS = [0, 16, 64, 256, 1024, 4096]


@pytest.fixture
def curve(scaling, tmp_path):
    recorded = scaling(scenes=12)
    records = load_records(recorded.write(tmp_path), "scaling")
    numbers = summarise(records)
    return recorded, scaling_curve(records, numbers, "dynamic", "rra_15")


def test_slope_weights_equal_polyfit():
    rng = np.random.default_rng(0)
    counts, y = np.array(COUNTS, dtype=float), rng.normal(size=6)
    expected = np.polyfit(np.log2(1 + counts), y, 1)[0]
    assert slope_weights(counts) @ y == pytest.approx(expected)


def test_points_yardsticks_gain_and_slope(curve):
    recorded, found = curve
    assert found.points["count"].tolist() == COUNTS
    assert found.yardsticks["arm"].tolist() == ["3d-sup", "3d-sup++"]
    mean = {
        arm: np.mean([recorded.score("dynamic", "rra_15", arm, seed) for seed in range(3)])
        for arm in recorded.arms
    }
    y = np.array([mean[f"factored-{count}"] for count in COUNTS])
    np.testing.assert_allclose(found.points["mean"].astype(float), y)
    np.testing.assert_allclose(found.gains["mean"].astype(float), y - y[0])
    assert found.gain.mean == pytest.approx(y[-1] - y[0])
    slope = np.polyfit(np.log2(1 + np.array(COUNTS)), y, 1)[0]
    assert found.slope.mean == pytest.approx(slope)
    assert found.gain.excludes_zero
    assert found.slope.excludes_zero
    # planted: half a tenth of the spread (8 points) per doubling
    assert found.slope.low < 0.5 * 0.8 < found.slope.high
    marks = found.yardstick_gains.set_index("arm")["mean"]
    assert marks["3d-sup++"] == pytest.approx(mean["3d-sup++"] - y[0])
    assert found.margins["3d-sup++"].mean == pytest.approx(y[-1] - mean["3d-sup++"])


def test_fits_held_out_point_and_label_worth(curve):
    _, found = curve
    assert found.unit == 16.0  # the labelled clips of every arm on the curve
    assert {each.shape for each in found.fits} == {"flat", "log-linear", "power law"}
    assert found.fits[-1].shape == "flat"
    level = found.fits[0].at([0, 4096])
    np.testing.assert_allclose(level.mean, found.points["mean"].iloc[[0, -1]].astype(float), atol=1)
    assert [each.count for each in found.held_out] == [4096] * 3
    # planted: 0.4 points per doubling of 1 + clips, and 4 for 3d-sup++: 1023 clips for 48 labels
    worth = found.worth["3d-sup++"]
    assert set(found.worth) == {"3d-sup++"}
    assert worth.extra_labels == 48
    assert worth.low < 1023 < (worth.high or np.inf)


def test_runs_that_are_missing_leave_the_other_points(scaling, tmp_path, run_id):
    recorded = scaling(scenes=6)
    recorded.write(tmp_path)
    (tmp_path / "runs" / run_id("scaling", "factored-256", 1) / "evaluation.json").unlink()
    records = load_records(tmp_path, "scaling")
    points = run_points(records, curve_arms(records), "dynamic", "rra_15", 16.0)
    assert points.runs.tolist() == [3, 3, 3, 2, 3, 3]
    expected = recorded.score("dynamic", "rra_15", "factored-64", 2).mean()
    assert points.scores[2, 2] == pytest.approx(expected)
    found = scaling_curve(records, summarise(records), "dynamic", "rra_15")
    assert found.slope.seeds == 2
    assert found.slope.preliminary


def test_unit_of_the_axis():
    def arm(unlabelled, labelled):
        return Arm(f"factored-{unlabelled}", "flow-factored", unlabelled, labelled, False)

    assert unit_of([arm(0, 16), arm(64, 16)]) == 16.0
    assert unit_of([arm(0, None), arm(64, None)]) == 64.0
    assert unit_of([arm(0, 0)]) == 1.0


def test_flat_curve_is_undecided(scaling, tmp_path):
    records = load_records(scaling(effects={}, scenes=12).write(tmp_path), "scaling")
    found = scaling_curve(records, summarise(records), "static", "rra_15")
    assert not found.slope.excludes_zero
    assert found.fits[0].shape == "flat"


def test_one_count_has_no_gain(scaling, tmp_path):
    recorded = scaling(scenes=3)
    write_json(tmp_path / "reports/scaling/plan.json", recorded.plan())
    for seed in range(3):
        recorded.write_run(tmp_path, "factored-16", seed)
    records = load_records(tmp_path, "scaling")
    found = scaling_curve(records, summarise(records), "static", "rra_15")
    assert found.points["count"].tolist() == [16]
    assert found.gain is None
    assert (found.slope, found.fits, found.held_out, found.worth) == (None, (), (), {})


def test_two_arms_with_one_count_are_refused(scaling, tmp_path):
    scaling(seeds=(0,), scenes=2).write(tmp_path)
    path = tmp_path / "reports/scaling/plan.json"
    plan = read_json(path)
    plan["arms"][2]["unlabelled_clips"] = 0
    write_json(path, plan)
    with pytest.raises(DataError, match="same unlabelled clips"):
        curve_arms(load_records(tmp_path, "scaling"))


def test_a_sweep_without_axis(store, tmp_path):
    records = load_records(store(seeds=(0,), scenes=2).write(tmp_path), "formulations")
    with pytest.raises(DataError, match="no scaling axis"):
        curve_arms(records)
