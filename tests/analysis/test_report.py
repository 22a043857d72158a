"""The report of whole, half-finished, failed, single-seed and odd sweeps; the command."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from analysis import report
from analysis.report import main, parse_settings
from flow3r.errors import ConfigError, DataError
from flow3r.files import read_json, write_json

ROOT = Path(analysis.__file__).parent.parent
RESAMPLES = 300
TWO_ARMS = {"3d-sup": ("3d-sup", 0, 16, False), "flow-factored": ("flow-factored", 64, 16, False)}


def write_report(output_dir, sweep, resamples=RESAMPLES):
    """With few resamples: these tests are of words and files, not of intervals."""
    return report.write_report(output_dir, sweep, resamples)


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("whole")
    recorded = store(scenes=12)
    recorded.write(output_dir)
    return recorded, output_dir, write_report(output_dir, "formulations", RESAMPLES)


@pytest.fixture
def no_figures(monkeypatch):
    """Drawing takes seconds; the tests of numbers and words do without."""
    monkeypatch.setattr("analysis.report.write_figures", lambda *_: {})


@pytest.fixture
def unsaved(monkeypatch):
    """Figures are drawn but not written, which is the slow half."""
    saved = lambda _, stem: [stem.with_suffix(".png")]  # noqa: E731
    monkeypatch.setattr("analysis.report.save_figure", saved)


def folder_of(output_dir, sweep="formulations"):
    return output_dir / "reports" / sweep


def state(output_dir, run, **changes):
    path = output_dir / "runs" / run / "status.json"
    write_json(path, {**read_json(path), **changes})


def test_results_json_equals_hand_computed_numbers(whole):
    recorded, output_dir, _ = whole
    results = read_json(folder_of(output_dir) / "results.json")
    assert (results["sweep"], results["profile"]) == ("formulations", "smoke")

    def mean(arm):
        return sum(
            recorded.score("dynamic", "auc_30", arm, seed).mean() for seed in range(5)
        ) / 5  # fmt: skip

    arms = {
        row["arm"]: row
        for row in results["arms"]
        if (row["benchmark"], row["metric"]) == ("dynamic", "auc_30")
    }
    assert set(arms) == {*recorded.arms, "chance"}
    for arm in recorded.arms:
        assert arms[arm]["mean"] == pytest.approx(mean(arm))
        assert arms[arm]["low"] < arms[arm]["mean"] < arms[arm]["high"]
        assert arms[arm]["seeds"] == 5
        assert arms[arm]["formulation"] == recorded.arms[arm][0]
    assert arms["chance"]["low"] is None
    (found,) = [
        row
        for row in results["comparisons"]
        if (row["arm"], row["baseline"]) == ("flow-factored", "3d-sup")
        and (row["benchmark"], row["metric"]) == ("dynamic", "auc_30")
    ]
    assert found["difference"] == pytest.approx(mean("flow-factored") - mean("3d-sup"))
    assert 0 < found["low"] < found["difference"] < found["high"]


def test_report_says_what_follows_and_what_does_not(whole):
    _, output_dir, summary = whole
    text = (folder_of(output_dir) / "report.md").read_text()
    assert summary.path == folder_of(output_dir) / "report.md"
    assert text.splitlines()[2] == f"**{summary.answer}**"
    beats = "Yes: at equal clips per step flow-factored beats 3d-sup on the dynamic scenes"
    assert summary.answer.startswith(f"{beats}: RRA@15 +")
    assert summary.answer.endswith("(95 %, paired, 5 seeds × 12 scenes).")
    assert summary.answer.count("points") == 1
    for phrase in (
        "- Above chance (the best constant prediction) by the interval: every arm on static "
        "RRA@15, static RTA@30, dynamic RRA@15 and dynamic RTA@30.",
        "order as in the paper",
        "| claim of the paper | static RRA@30 | dynamic RRA@30 | static AUC@30 | dynamic AUC@30 |",
        "### Difference to chance",
        "Clips per step: 24 in every arm",
        "Not corrected",
        f"({RESAMPLES} resamples",
        "What is not claimed".lower(),
        "From the paper (Table 1)",
        "| flow-factored | 76.26 | 68.84 | 0.103 | 0.598 |",
    ):
        assert phrase in text
    assert "Unfinished" not in text
    assert "Preliminary" not in text
    assert "Dynamic scenes" in summary.table
    assert max(len(line) for line in summary.table.splitlines()) <= 100
    assert [line.split(":")[0] for line in text.splitlines() if line.startswith("## ")][-1] == (
        "## How to read this / what is not claimed"
    )


def test_all_files_are_there_and_linked(whole):
    _, output_dir, _ = whole
    folder = folder_of(output_dir)
    text = (folder / "report.md").read_text()
    for name in ("differences", "scenes", "learning"):
        assert f"(figures/{name}.png)" in text
        assert (folder / "figures" / f"{name}.png").stat().st_size > 10_000
        assert (folder / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    for name in ("static", "dynamic", "dynamic-differences", "cost"):
        for suffix in ("md", "csv", "tex"):
            assert (folder / "tables" / f"{name}.{suffix}").stat().st_size > 100
    header, *rows = (folder / "tables" / "scenes.csv").read_text().splitlines()
    assert header.startswith("arm,seed,run_id,benchmark,scene,auc_30")
    assert len(rows) == 6 * 5 * 2 * 12


@pytest.mark.slow
def test_rebuilding_gives_the_same_text_and_numbers(whole):
    _, output_dir, _ = whole
    folder = folder_of(output_dir)
    before = [(folder / name).read_bytes() for name in ("results.json", "report.md")]
    write_report(output_dir, "formulations")
    assert [(folder / name).read_bytes() for name in ("results.json", "report.md")] == before


def test_half_finished_and_failed(store, tmp_path, run_id, no_figures):
    store(scenes=6, seeds=(0, 1, 2)).write(tmp_path)
    state(tmp_path, run_id("formulations", "flow-factored", 2), state="running")
    failed = run_id("formulations", "flow-tracking", 0)
    state(tmp_path, failed, state="failed", reason="NaN | loss\nat step 3")
    for seed in (0, 1, 2):
        state(tmp_path, run_id("formulations", "flow-projective", seed), state="interrupted")
    summary = write_report(tmp_path, "formulations")
    assert summary.answer.startswith("Preliminary (13 of 18 runs finished): ")
    assert "2 seeds × 6 scenes" in summary.answer
    text = (folder_of(tmp_path) / "report.md").read_text()
    assert rf"| flow-tracking | 0 | {failed} | failed | NaN \| loss at step 3 |" in text
    assert "flow-factored (incomplete)" in text
    results = read_json(folder_of(tmp_path) / "results.json")
    assert results["complete"] is False
    assert "flow-projective" not in {row["arm"] for row in results["arms"]}


@pytest.mark.slow
def test_an_odd_sweep_can_be_drawn(store, tmp_path, run_id):
    """One scene, one seed in an arm, an arm without any: every figure still comes out."""
    store(scenes=1, seeds=(0, 1)).write(tmp_path)
    for arm, seed in (("flow-tracking", 0), ("flow-projective", 0), ("flow-projective", 1)):
        state(tmp_path, run_id("formulations", arm, seed), state="failed")
    write_report(tmp_path, "formulations")
    names = {path.stem for path in (folder_of(tmp_path) / "figures").glob("*.png")}
    assert names == {"differences", "scenes", "learning"}


def test_headline_arm_not_finished(store, tmp_path, run_id, no_figures):
    store(scenes=4, seeds=(0, 1)).write(tmp_path)
    for seed in (0, 1):
        state(tmp_path, run_id("formulations", "flow-factored", seed), state="failed")
    assert "cannot be compared" in write_report(tmp_path, "formulations").answer


def test_baseline_not_finished(store, tmp_path, run_id, no_figures):
    store(scenes=4, seeds=(0, 1)).write(tmp_path)
    for seed in (0, 1):
        state(tmp_path, run_id("formulations", "3d-sup", seed), state="failed")
    assert "cannot be compared" in write_report(tmp_path, "formulations").answer


def test_single_seed_gives_no_interval_and_says_so(store, tmp_path, no_figures):
    summary = write_report(store(scenes=6, seeds=(3,)).write(tmp_path), "formulations")
    assert summary.answer.startswith(
        "Undecided (one seed, no interval: nothing can be claimed): at equal clips per step "
        "flow-factored differs from 3d-sup on the dynamic scenes by RRA@15 "
    )
    assert summary.answer.endswith("(1 seed × 6 scenes).")
    assert "One finished seed gives no interval" in summary.path.read_text()
    results = read_json(folder_of(tmp_path) / "results.json")
    assert all(row["low"] is None for row in results["arms"] + results["comparisons"])


def test_single_scene(store, tmp_path, no_figures):
    summary = write_report(store(scenes=1, seeds=(0, 1, 2)).write(tmp_path), "formulations")
    assert "3 seeds × 1 scene)" in summary.answer


def test_all_equal_is_undecided(store, tmp_path, no_figures):
    recorded = store(scenes=4, seeds=(0, 1, 2), effects={}, noise=0.0)
    said = write_report(recorded.write(tmp_path), "formulations").answer
    assert said.startswith("Undecided (every interval contains zero): ")


def test_unequal_budget_is_said(store, tmp_path, run_id, no_figures):
    store(scenes=4, seeds=(0, 1)).write(tmp_path)
    state(tmp_path, run_id("formulations", "flow-factored", 0), step=900)
    summary = write_report(tmp_path, "formulations")
    assert "equal clips per step" not in summary.answer
    text = summary.path.read_text()
    assert "**Optimiser steps differ between runs, so the budget is not equal**" in text


def test_non_finite_score_counts_as_missing(store, tmp_path, run_id, no_figures):
    store(scenes=4, seeds=(0, 1)).write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "flow-factored", 0) / "evaluation.json"
    evaluation = read_json(path)
    evaluation["benchmarks"]["dynamic"]["scenes"][0]["metrics"]["rra_15"] = float("nan")
    path.write_text(json.dumps(evaluation))
    text = write_report(tmp_path, "formulations").path.read_text()
    assert "Some scenes have no value of RRA@15" in text
    results = read_json(folder_of(tmp_path) / "results.json")
    missing = [row for row in results["comparisons"] if row["missing"]]
    assert {row["metric"] for row in missing} == {"rra_15"}


def test_below_chance_is_said(store, tmp_path, no_figures):
    recorded = store(scenes=4, seeds=(0, 1, 2), effects={"flow-tracking": -60.0})
    text = write_report(recorded.write(tmp_path), "formulations").path.read_text()
    line = next(line for line in text.splitlines() if line.startswith("- Above chance"))
    assert "every arm but flow-tracking on " in line
    row = next(line for line in text.split("### Difference to chance")[1].splitlines()
               if line.startswith("| flow-tracking"))  # fmt: skip
    assert "static RTA@30" in line
    assert "| −" in row
    assert "**" not in row


def test_initialisation_of_one_seed_is_a_yardstick_only(store, tmp_path, run_id, no_figures):
    """Its value stands without an interval, and it is no formulation of the paper's order."""
    recorded = store(scenes=4, seeds=(0, 1))
    recorded.arms["initialisation"] = ("3d-sup", 0, 16, True)
    recorded.write(tmp_path)
    plan = read_json(folder_of(tmp_path) / "plan.json")
    plan["runs"] = [
        run for run in plan["runs"] if (run["arm"], run["seed"]) != ("initialisation", 1)
    ]
    write_json(folder_of(tmp_path) / "plan.json", plan)
    summary = write_report(tmp_path, "formulations")
    text = summary.path.read_text()
    order = text.split("claim by claim")[1].split("## Results")[0]
    first = text.split("## Results")[1]
    assert "initialisation" not in order
    (row,) = [line for line in first.splitlines() if line.startswith("| initialisation | 1 |")][:1]
    assert "±" not in row
    assert "- Against the starting point on the dynamic scenes" in text
    assert re.search(r"initialisation RRA@15 \d+\.\d, AUC@30 \d+\.\d; 3d-sup RRA@15", text)
    assert "One finished seed gives no interval: initialisation." in text
    rows = read_json(folder_of(tmp_path) / "results.json")["arms"]
    assert {r["low"] for r in rows if r["arm"] == "initialisation"} == {None}


def test_scaling_report(scaling, tmp_path, unsaved):
    summary = write_report(scaling(scenes=6).write(tmp_path), "scaling")
    assert "more unlabelled clips help on the dynamic scenes" in summary.answer
    assert "4096 clips against 0, " in summary.answer
    assert max(len(line) for line in summary.table.splitlines()) <= 100
    text = summary.path.read_text()
    assert "(figures/scaling.png)" in text
    assert "(figures/gain.png)" in text
    assert "| 4K labelled | 0 | 78.68 |" in text


def test_qualitative_figures_are_collected(store, tmp_path, run_id, unsaved):
    store(scenes=3, seeds=(0,), arms=TWO_ARMS, benchmarks=("dynamic",)).write(tmp_path)
    folder = tmp_path / "runs" / run_id("formulations", "flow-factored", 0) / "figures"
    folder.mkdir()
    (folder / "depth.png").write_bytes(b"png")
    text = write_report(tmp_path, "formulations").path.read_text()
    assert "(figures/qualitative/flow-factored-depth.png)" in text


def test_settings():
    expected = {"sweep": "scaling", "output_dir": "x"}
    assert parse_settings(["sweep=scaling", "output_dir=x"]) == expected
    for bad in (["swep=a"], ["sweep"], ["sweep="], []):
        with pytest.raises(ConfigError, match="sweep="):
            parse_settings(bad)


def test_errors_are_one_line_and_a_status(tmp_path, capsys):
    assert main(["sweep=none", f"output_dir={tmp_path}"]) == 2
    assert capsys.readouterr().err.startswith("error: no plan of sweep 'none'")


def test_missing_sweep_is_a_data_error(tmp_path):
    with pytest.raises(DataError):
        write_report(tmp_path, "formulations")


def test_help_is_quick_and_complete():
    done = subprocess.run(
        [sys.executable, "analysis/report.py", "--help"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "sweep=NAME" in done.stdout


@pytest.mark.parametrize(
    ("sweep", "status"), [("none", 2), pytest.param("formulations", 0, marks=pytest.mark.slow)]
)
def test_script_does_not_shadow_the_standard_statistics(store, tmp_path, sweep, status):
    """Run as the user does: analysis/ must not be on the path, and torch is never imported."""
    store(scenes=2, seeds=(0,), arms=TWO_ARMS, benchmarks=("dynamic",)).write(tmp_path)
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['analysis/report.py', 'sweep={sweep}', 'output_dir={tmp_path}']\n"
        "sys.path[0] = 'analysis'\n"
        "try:\n"
        "    runpy.run_path('analysis/report.py', run_name='__main__')\n"
        "except SystemExit as end:\n"
        f"    assert end.code == {status}, end.code\n"
        "import statistics\n"
        "assert hasattr(statistics, 'NormalDist'), statistics.__file__\n"
        "assert not {'torch', 'sweeps', 'experiments', 'mlflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
