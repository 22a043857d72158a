"""The report of whole, half-finished, failed, single-seed and odd sweeps; the command."""

import json
import re
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

import analysis
from analysis.gallery import Gallery
from analysis.report import main, parse_settings, refresh_report, write_report
from flow3r.errors import ConfigError, DataError
from flow3r.files import read_json, write_json
from flow3r.locks import try_lock

pytestmark = pytest.mark.xdist_group("report")

ROOT = Path(analysis.__file__).parent.parent
TWO_ARMS = {"3d-sup": ("3d-sup", 0, 16, False), "flow-factored": ("flow-factored", 64, 16, False)}
QUESTIONS = [
    {
        "id": "helps",
        "question": "Does flow help?",
        "metric": "auc_30",
        "benchmark": "dynamic",
        "smallest_difference": 0.5,
        "difference": {"arm": "flow-factored", "baseline": "3d-sup"},
    },
    {
        "id": "order",
        "question": "Do they order as in the paper?",
        "metric": "auc_30",
        "benchmark": "dynamic",
        "smallest_difference": 0.5,
        "order": [["flow-factored"], ["3d-sup", "flow-tracking"], ["flow-projective"]],
    },
    {
        "id": "static",
        "question": "Is pose on static scenes kept?",
        "metric": "auc_30",
        "benchmark": "static",
        "smallest_difference": 5.0,
        "direction": "not-worse",
        "difference": {"arm": "flow-labelled", "baseline": "3d-sup"},
    },
]


def save_small(figure, stem):
    """A picture in a fifth of the time; test_figures has the real thing."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(stem.with_suffix(".png"), dpi=50)
    return [stem.with_suffix(".png")]


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("whole")
    recorded = store(scenes=12, questions=QUESTIONS)
    recorded.write(output_dir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.gallery.save_figure", save_small)
        summary = write_report(output_dir, "formulations")
    return recorded, output_dir, summary


@pytest.fixture
def no_figures(monkeypatch):
    """Drawing takes seconds; the tests of numbers and words do without."""
    monkeypatch.setattr("analysis.report.draw_gallery", lambda *_: Gallery({}, ()))


@pytest.fixture
def unsaved(monkeypatch):
    """Figures are drawn but not written, which is the slow half."""

    def save(_, stem):
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_suffix(".png").write_bytes(b"png")
        return [stem.with_suffix(".png")]

    monkeypatch.setattr("analysis.gallery.save_figure", save)


def text_of(summary):
    """The Markdown beside the page."""
    return summary.path.with_suffix(".md").read_text()


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
    assert summary.path == folder_of(output_dir) / "report.html"
    text = text_of(summary)
    lines = text.splitlines()
    assert lines[0] == "# Report: formulations (profile smoke)"
    assert summary.answer.startswith("Yes")
    for phrase in (
        "**Holds.** Does flow help?",
        "Asked for: better by 0.5 points.",
        "Do they order as in the paper?",
        "- Above chance (the best constant prediction) by the interval: every arm on static "
        "RRA@15, static RTA@30, dynamic RRA@15 and dynamic RTA@30.",
        "## All questions and answers",
        "## The paper's order, pair by pair",
        "### Difference to chance",
        "### Effect sizes",
        "How many seeds next?",
        "Clips per step: 24 in every arm",
        "| clips per step | same | 24 |",
        "| initial weights of backbone and geometry heads, per seed | not recorded | – |",
        "## What is not claimed",
        "From the paper (Table 1)",
        "| flow-factored | 76.26 | 68.84 | 0.103 | 0.598 |",
        "Runs made at commit: abc1234.",
    ):
        assert phrase in text, phrase
    assert "Unfinished" not in text
    assert "Dynamic scenes" in summary.table
    assert max(len(line) for line in summary.table.splitlines()) <= 100


def test_the_page_holds_everything_in_one_file(whole):
    _, _, summary = whole
    page = summary.path.read_text()
    references = re.findall(r'(?:src|srcset|href)="([^"]{0,40})', page)
    assert references
    assert all(r.startswith(("data:image/png;base64,", "#")) for r in references)
    assert "<script" not in page
    for phrase in (
        '<article class="verdict holds">',
        "Does flow help?",
        "brief",
        "<summary><h2>Statistics: intervals, corrections, power</h2>",
        "no difference found, ",
        '<source media="(max-width: 640px)"',
    ):
        assert phrase in page, phrase
    first_fold = page.index("<details>")
    assert page.index("Does flow help?") < page.index("<figure>") < first_fold


def test_all_files_are_there_and_linked(whole):
    _, output_dir, summary = whole
    folder = folder_of(output_dir)
    text = text_of(summary)
    for name in ("headline", "differences", "scenes", "profiles", "improvement", "learning"):
        assert f"(figures/{name}.png)" in text
        for stem in (name, f"{name}-column"):
            assert (folder / "figures" / f"{stem}.png").stat().st_size > 2_000
    assert "Error against motion and covisibility is not shown" in text
    assert "No predictions are shown" in text
    for name in ("static", "dynamic", "dynamic-differences", "pose", "pointmap", "cost"):
        for suffix in ("md", "csv", "tex"):
            assert (folder / "tables" / f"{name}.{suffix}").stat().st_size > 100
    header, *rows = (folder / "tables" / "scenes.csv").read_text().splitlines()
    assert header.startswith("arm,seed,run_id,benchmark,scene,auc_30")
    assert len(rows) == 6 * 5 * 2 * 12
    results = read_json(folder / "results.json")
    assert results["verdicts"][0]["verdict"] == "holds"
    assert results["mixed"] == []


def test_it_can_be_written_elsewhere(store, tmp_path, no_figures):
    output_dir = store(scenes=2, seeds=(0, 1)).write(tmp_path / "records")
    elsewhere = tmp_path / "elsewhere"
    summary = write_report(output_dir, "formulations", elsewhere)
    assert summary.path == elsewhere / "report.html"
    assert [p.name for p in folder_of(output_dir).iterdir()] == ["plan.json"]


def test_two_writers_take_turns(store, tmp_path, no_figures):
    output_dir = store(scenes=2, seeds=(0, 1)).write(tmp_path)
    folder = folder_of(output_dir)
    first = try_lock(folder / ".report.lock")
    second = Thread(target=write_report, args=(output_dir, "formulations"))
    second.start()
    second.join(timeout=1.0)
    waited = second.is_alive() and not (folder / "tables").exists()
    first.release()
    second.join(timeout=120.0)
    assert waited
    assert (folder / "report.html").is_file()


def test_an_up_to_date_report_is_not_written_again(store, tmp_path, no_figures):
    output_dir = store(scenes=2, seeds=(0, 1)).write(tmp_path)
    first = refresh_report(output_dir, "formulations")
    before = first.path.stat().st_mtime_ns
    assert refresh_report(output_dir, "formulations") == first
    assert first.path.stat().st_mtime_ns == before
    run = next((output_dir / "runs").iterdir())
    for change in (
        lambda: state(tmp_path, run.name, state="failed", reason="since then"),
        lambda: (run / "metrics.jsonl").write_text(""),
        lambda: (folder_of(output_dir) / "report.html").unlink(),
        lambda: write_report(output_dir, "formulations"),  # it may have been asked for otherwise
    ):
        change()
        before = (folder_of(output_dir) / "report.md").stat().st_mtime_ns
        refresh_report(output_dir, "formulations")
        assert (folder_of(output_dir) / "report.md").stat().st_mtime_ns > before


@pytest.mark.slow
def test_rebuilding_gives_the_same_text_and_numbers(whole):
    _, output_dir, _ = whole
    folder = folder_of(output_dir)
    names = ("results.json", "report.md", "report.html")
    before = [(folder / name).read_bytes() for name in names]
    write_report(output_dir, "formulations")
    after = [(folder / name).read_bytes() for name in names]
    assert after[:2] == before[:2]
    words = [re.sub(rb"base64,[^\"]*", b"", page) for page in (before[2], after[2])]
    assert words[0] == words[1]  # the pictures have another resolution


def test_half_finished_and_failed(store, tmp_path, run_id, no_figures):
    store(scenes=6, seeds=(0, 1, 2)).write(tmp_path)
    state(tmp_path, run_id("formulations", "flow-factored", 2), state="running")
    failed = run_id("formulations", "flow-tracking", 0)
    state(tmp_path, failed, state="failed", reason="NaN | loss\nat step 3")
    for seed in (0, 1, 2):
        state(tmp_path, run_id("formulations", "flow-projective", seed), state="interrupted")
    summary = write_report(tmp_path, "formulations")
    assert summary.answer.startswith("Preliminary (13 of 18 runs finished): ")
    assert "nothing is claimed before all are" in summary.answer
    text = text_of(summary)
    assert "**Unfinished: 13 of 18 runs. No claims; numbers are a look on the way.**" in text
    assert (
        "**Unfinished.** Is flow-factored better than 3d-sup on the dynamic scenes, by RRA@15?"
        in text
    )
    assert "**Holds.**" not in text
    assert '<article class="verdict unfinished">' in summary.path.read_text()
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
    assert {"headline", "differences", "scenes", "profiles", "learning", "training"} <= names


def test_headline_arm_not_finished(store, tmp_path, run_id, no_figures):
    store(scenes=4, seeds=(0, 1)).write(tmp_path)
    for seed in (0, 1):
        state(tmp_path, run_id("formulations", "flow-factored", seed), state="failed")
    summary = write_report(tmp_path, "formulations")
    assert "nothing is claimed before all are" in summary.answer
    assert "**Unfinished.**" in text_of(summary)


def test_baseline_not_finished(store, tmp_path, run_id, no_figures):
    store(scenes=4, seeds=(0, 1)).write(tmp_path)
    for seed in (0, 1):
        state(tmp_path, run_id("formulations", "3d-sup", seed), state="failed")
    summary = write_report(tmp_path, "formulations")
    assert "nothing is claimed before all are" in summary.answer
    assert "**Unfinished.**" in text_of(summary)


def test_single_seed_gives_no_interval_and_says_so(store, tmp_path, no_figures):
    summary = write_report(store(scenes=6, seeds=(3,)).write(tmp_path), "formulations")
    assert summary.answer.startswith("Undecided")
    assert "one seed, no interval: nothing can be claimed" in summary.answer
    assert "One finished seed gives no interval" in text_of(summary)
    results = read_json(folder_of(tmp_path) / "results.json")
    assert all(row["low"] is None for row in results["arms"] + results["comparisons"])


def test_single_scene(store, tmp_path, no_figures):
    summary = write_report(store(scenes=1, seeds=(0, 1, 2)).write(tmp_path), "formulations")
    assert "3 seeds × 1 scene)" in text_of(summary)


def test_all_equal_is_undecided(store, tmp_path, no_figures):
    recorded = store(scenes=4, seeds=(0, 1, 2), effects={}, noise=0.0)
    said = write_report(recorded.write(tmp_path), "formulations").answer
    assert said.startswith("Undecided")


def test_mixed_code_is_refused_and_said_where_it_is_allowed(store, tmp_path, run_id, no_figures):
    store(scenes=4, seeds=(0, 1)).write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "3d-sup", 0) / "provenance.json"
    write_json(path, {**read_json(path), "git_commit": "fff0000", "initial_weights": "aa"})
    other = tmp_path / "runs" / run_id("formulations", "flow-factored", 0) / "provenance.json"
    write_json(other, {**read_json(other), "initial_weights": "bb"})
    with pytest.raises(DataError, match="allow_mixed=true"):
        write_report(tmp_path, "formulations")
    text = text_of(write_report(tmp_path, "formulations", allow_mixed=True))
    assert "- **Mixed on request:** code: 11 runs of commit abc1234, 1 run" in text
    assert "| code | **differs** | abc1234, fff0000 |" in text
    assert "per seed | **differs** | seeds 0 |" in text


def test_unequal_budget_is_said(store, tmp_path, run_id, no_figures):
    store(scenes=4, seeds=(0, 1)).write(tmp_path)
    state(tmp_path, run_id("formulations", "flow-factored", 0), step=900)
    summary = write_report(tmp_path, "formulations")
    assert "equal clips per step" not in summary.answer
    text = text_of(summary)
    assert "**Optimiser steps differ between runs, so the budget is not equal**" in text


def test_non_finite_score_counts_as_missing(store, tmp_path, run_id, no_figures):
    store(scenes=4, seeds=(0, 1)).write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "flow-factored", 0) / "evaluation.json"
    evaluation = read_json(path)
    evaluation["benchmarks"]["dynamic"]["scenes"][0]["metrics"]["rra_15"] = float("nan")
    path.write_text(json.dumps(evaluation))
    text = text_of(write_report(tmp_path, "formulations"))
    assert "Some scenes have no value of RRA@15" in text
    results = read_json(folder_of(tmp_path) / "results.json")
    missing = [row for row in results["comparisons"] if row["missing"]]
    assert {row["metric"] for row in missing} == {"rra_15"}


def test_below_chance_is_said(store, tmp_path, no_figures):
    recorded = store(scenes=4, seeds=(0, 1, 2), effects={"flow-tracking": -60.0})
    text = text_of(write_report(recorded.write(tmp_path), "formulations"))
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
    text = text_of(summary)
    questions, first = text.split("## Scores and differences")
    assert "initialisation" not in questions.split("## All questions and answers")[1]
    (row,) = [line for line in first.splitlines() if line.startswith("| initialisation | 1 |")][:1]
    assert "±" not in row
    assert "- Against the starting point on the dynamic scenes" in text
    assert re.search(r"initialisation RRA@15 \d+\.\d, AUC@30 \d+\.\d; 3d-sup RRA@15", text)
    assert "One finished seed gives no interval: initialisation." in text
    rows = read_json(folder_of(tmp_path) / "results.json")["arms"]
    assert {r["low"] for r in rows if r["arm"] == "initialisation"} == {None}


def test_scaling_report(scaling, tmp_path, unsaved, monkeypatch):
    monkeypatch.setattr("analysis.report.CURVES", ("rra_15",))
    summary = write_report(scaling(scenes=6).write(tmp_path), "scaling")
    assert summary.answer.startswith("Yes")
    assert max(len(line) for line in summary.table.splitlines()) <= 100
    text = text_of(summary)
    assert "(figures/scaling.png)" in text
    assert "(figures/gain.png)" in text
    assert "### Fitted shapes" in text
    assert "### What a label is worth" in text
    assert "| dynamic RRA@15 | 3d-sup++ |" in text
    assert "| 4K labelled | 0 | 78.68 |" in text


def test_qualitative_figures_are_collected(store, tmp_path, run_id, unsaved):
    store(scenes=3, seeds=(0,), arms=TWO_ARMS, benchmarks=("dynamic",)).write(tmp_path)
    folder = tmp_path / "runs" / run_id("formulations", "flow-factored", 0) / "figures"
    folder.mkdir()
    (folder / "depth.png").write_bytes(b"png")
    text = text_of(write_report(tmp_path, "formulations"))
    assert "(figures/qualitative/flow-factored-depth.png)" in text


def test_settings():
    expected = {"sweep": "scaling", "output_dir": "x", "to": "", "allow_mixed": "false"}
    assert parse_settings(["sweep=scaling", "output_dir=x"]) == expected
    with pytest.raises(ConfigError, match="allow_mixed"):
        parse_settings(["sweep=scaling", "allow_mixed=yes"])
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
