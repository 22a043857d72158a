"""The scaling curve of a planted store."""

import numpy as np
import pytest

from analysis.answer import scaling_answer
from analysis.records import load_records
from analysis.scaling import curve_arms, scaling_curve, slope_weights
from analysis.summary import summarise
from flow3r.errors import DataError
from flow3r.files import read_json, write_json

COUNTS = [0, 16, 64, 256, 1024, 4096]


@pytest.fixture
def curve(scaling, tmp_path):
    recorded = scaling(scenes=12)
    records = load_records(recorded.write(tmp_path), "scaling")
    numbers = summarise(records, 100)
    return recorded, records, scaling_curve(records, numbers, "dynamic", "rra_15")


def test_slope_weights_equal_polyfit():
    rng = np.random.default_rng(0)
    counts, y = np.array(COUNTS, dtype=float), rng.normal(size=6)
    expected = np.polyfit(np.log2(1 + counts), y, 1)[0]
    assert slope_weights(counts) @ y == pytest.approx(expected)


def test_points_yardsticks_gain_and_slope(curve):
    recorded, records, found = curve
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
    said = scaling_answer(records, [found])
    assert said.startswith("Yes: at equal clips per step more unlabelled clips help on the dynamic")
    assert "4096 clips against 0, RRA@15 +" in said
    assert "per doubling, RRA@15 +" in said
    assert "4096 clips are " in said
    assert " 3d-sup++, RRA@15 " in said
    assert said.endswith("(95 %, paired, 3 seeds × 12 scenes).")


def test_flat_curve_is_undecided(scaling, tmp_path):
    records = load_records(scaling(effects={}, scenes=12).write(tmp_path), "scaling")
    found = scaling_curve(records, summarise(records, 100), "static", "rra_15")
    assert not found.slope.excludes_zero
    said = scaling_answer(records, [found])
    assert said.startswith("Undecided (the interval contains zero): ")


def test_one_count_has_no_gain(scaling, tmp_path):
    recorded = scaling(scenes=3)
    write_json(tmp_path / "reports/scaling/plan.json", recorded.plan())
    for seed in range(3):
        recorded.write_run(tmp_path, "factored-16", seed)
    records = load_records(tmp_path, "scaling")
    found = scaling_curve(records, summarise(records, 100), "static", "rra_15")
    assert found.points["count"].tolist() == [16]
    assert found.gain is None
    assert "fewer than two finished counts" in scaling_answer(records, [found])


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
