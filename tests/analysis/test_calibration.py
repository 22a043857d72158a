"""The calibration command: the project's interval on studies whose truth is known."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import analysis
from analysis import calibration, null_studies
from analysis.calibration import Settings, calibrate, intervals, main, parse_settings
from flow3r.errors import ConfigError, DataError

ROOT = Path(analysis.__file__).parent.parent
DESIGNS = {design.name: design for design in null_studies.made_up(32)}


def runs_of(rng, runs, scenes=40, difference=0.0):
    """Percentages of one arm: scene difficulty, a run's own level, and chance."""
    chance = rng.normal(0.6, 1, (1, scenes)) + rng.normal(difference, 0.2, (runs, 1))
    return 100.0 * (chance + rng.normal(0, 0.5, (runs, scenes)) > 0)


@pytest.mark.parametrize("name", DESIGNS)
def test_designs_have_the_difference_they_are_given(name):
    drawn = DESIGNS[name].draw((1500, 4, 32), 5.0, np.random.default_rng(1))
    means = drawn.mean((1, 2))
    assert means.mean() == pytest.approx(5.0, abs=4 * means.std() / np.sqrt(1500))


def test_made_up_shares_add_up_to_the_variance_of_the_mean():
    for name in ("seeds", "even", "scenes", "noise", "heavy tails"):
        drawn = DESIGNS[name].draw((3000, 5, 32), 0.0, np.random.default_rng(2))
        assert drawn.mean((1, 2)).var() == pytest.approx(1.0, rel=0.12), name


def test_accuracy_has_ties_and_only_three_values():
    drawn = DESIGNS["accuracy"].draw((200, 3, 32), 0.0, np.random.default_rng(3))
    assert set(np.unique(drawn)) == {-100.0, 0.0, 100.0}
    assert (drawn == 0).mean() > 0.6
    with pytest.raises(DataError, match="-12 % cannot be reached"):
        DESIGNS["accuracy"].draw((1, 2, 3), 86.0, np.random.default_rng(4))


def test_components_of_a_design_are_recovered():
    found = DESIGNS["even"].components(0.0, np.random.default_rng(5))
    assert found.seed == pytest.approx(5 / 3, rel=0.15)
    assert found.scene == pytest.approx(32 / 3, rel=0.1)
    assert found.rest == pytest.approx(160 / 3, rel=0.05)


def test_recorded_designs_have_a_true_null():
    rng = np.random.default_rng(6)
    arm, baseline = runs_of(rng, 5, difference=0.8), runs_of(rng, 5)
    for design in (
        null_studies.recorded_null("A/A", baseline),
        null_studies.recorded_difference("two arms", arm, baseline),
    ):
        means = design.draw((4000, 3, 20), 0.0, rng).mean((1, 2))
        assert means.mean() == pytest.approx(0.0, abs=4 * means.std() / np.sqrt(4000))


def test_recorded_designs_leave_gaps_out_and_refuse_too_few_runs():
    runs = runs_of(np.random.default_rng(7), 4)
    runs[1, 3] = np.nan
    design = null_studies.recorded_null("A/A", runs)
    assert "4 recorded runs of one arm x 39 scenes" in design.about
    assert not np.isnan(design.draw((5, 3, 10), 0.0, np.random.default_rng(8))).any()
    with pytest.raises(DataError, match="2 runs x 39 scenes"):
        null_studies.recorded_null("A/A", runs[:2])


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("name", [name for name in DESIGNS if "100" not in name])
def test_interval_is_calibrated_on_every_design(name, seeds):
    # 600 studies: a standard error of 0.9 points
    mean, half = intervals(DESIGNS[name], (600, seeds, 32), 0.0, np.random.default_rng(9))
    assert 0.92 <= (np.abs(mean) <= half).mean() <= 0.985


def test_the_check_can_fail(monkeypatch):
    # an interval as wide as with a normal quantile is caught
    from analysis.crossed import Spread

    monkeypatch.setattr(Spread, "half_width", lambda self, level: 1.96 * self.se)
    found = calibrate(Settings(studies=200, seeds=(3,), scenes=16))
    assert not found["within_bounds"]
    assert found["false_positive_rate"]["3"] > 0.07


def test_command_prints_one_object_and_is_repeatable(capsys):
    arguments = ["studies=60", "seeds=5,3", "scenes=16"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    for name in ("false_positive_rate", "coverage", "power"):
        assert list(found[name]) == ["3", "5"]
        assert all(0 <= share <= 1 for share in found[name].values())
    assert [row["design"] for row in found["designs"]] == list(DESIGNS)
    row = found["designs"][0]["seeds"]["5"]
    assert row["standard_error"]["power"] == pytest.approx(
        np.sqrt(row["power"] * (1 - row["power"]) / 60), abs=1e-4
    )
    assert abs(row["power"] - row["stated_power"]) < 0.2
    assert set(found["methods"]) == {"seeds", "noise"}
    assert found["looks"]["any_interval_at_full_level"] >= found["looks"]["any_interval_as_shown"]
    assert "design 1 of 7" in printed.err
    assert main(arguments) == 0
    again = json.loads(capsys.readouterr().out)
    assert {**again, "seconds": 0} == {**found, "seconds": 0}


def test_records_add_designs(store, tmp_path):
    output_dir = store(scenes=10, seeds=(0, 1, 2)).write(tmp_path)
    settings = Settings(studies=20, seeds=(3,), scenes=10, records=str(output_dir))
    names = [design.name for design in calibration.recorded_designs(settings)]
    assert names == [
        "recorded dynamic rra_15, A/A",
        "recorded dynamic rra_15, two arms",
        "recorded dynamic auc_30, A/A",
        "recorded dynamic auc_30, two arms",
    ]
    found = calibrate(settings)
    assert [row["design"] for row in found["designs"]] == [*DESIGNS, *names]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("studies=5", "at least 10"),
        ("seeds=1,3", "each at least 2"),
        ("scenes=1", "at least 2"),
        ("seeds=three", "whole numbers"),
        ("runs=3", "valid settings"),
    ],
)
def test_arguments_are_checked(argument, message):
    with pytest.raises(ConfigError, match=message):
        parse_settings([argument])
    assert main([argument]) == 2


def test_help_and_script():
    command = [sys.executable, "analysis/calibration.py", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "false_positive_rate" in shown.stdout


@pytest.mark.slow
def test_thousand_studies_are_within_bounds():
    found = calibrate(Settings())
    assert found["within_bounds"]
    for row in found["designs"]:
        for seeds, outcome in row["seeds"].items():
            where = (row["design"], seeds)
            assert 0.025 <= outcome["false_positive_rate"] <= 0.075, where
            assert 0.925 <= outcome["coverage"] <= 0.975, where
            assert -0.03 <= outcome["power"] - outcome["stated_power"] <= 0.1, where
    assert found["looks"]["any_interval_as_shown"] <= 0.07
