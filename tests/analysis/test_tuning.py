"""The report of a tuning: exact curves, honest words about what failed, and both formats."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from analysis import tuning as command
from analysis.records import load_records, score_matrices
from analysis.report import write_report
from analysis.sections.tuning import tuning_section, tuning_sentence, tuning_table
from analysis.tuning import effort_sentence, write_tuning
from analysis.tuning_records import best_of, load_tuning
from analysis.tuning_tables import gain
from flow3r.errors import DataError
from flow3r.files import write_json

FORMULATIONS = ("3d-sup", "flow-factored")


def trial(number, rung, score=None, failed=None, steps=5):
    return {
        "candidate": number,
        "arm": f"x-c{number:02d}",
        "default": number == 0,
        "values": {"training.stages.1.lr": 1e-3 * (number + 1), "loss.flow_weight": 20.0},
        "run_ids": [f"{number:012x}"],
        "rungs": [rung],
        "score": score,
        "dropped": score is None,
        "failed": failed,
        "steps": steps,
        "train_seconds": 1.5 * steps,
        "seconds": 2.0 * steps,
    }


def record(**changes):
    trials = [trial(0, 5.0, 6.0, steps=10), trial(1, 7.0, 7.5, steps=10), trial(2, 4.0)]
    entry = {"trials": trials, "chosen": 1, "importance": None}
    parameter = {"low": 1e-4, "high": 1e-2, "default": 1e-3}
    weight = {"label": "flow weight", "low": 4.0, "high": 100.0, "default": 20.0}
    return {
        "schema": 1,
        "profile": "smoke",
        "metric": "auc_30",
        "benchmark": "dynamic",
        "overrides": [],
        "seeds": [100],
        "scenes": {
            "rungs": {"seed": 71, "clips": 8, "domain": "target"},
            "end": {"seed": 72, "clips": 8, "domain": "target"},
        },
        "budget": {"candidates": 3, "rungs": [5], "fields": [3, 2], "total_steps": 10},
        "space": {
            "training.stages.1.lr": {"label": "learning rate", **parameter},
            "loss.flow_weight": weight,
        },
        "formulations": dict.fromkeys(FORMULATIONS, entry),
        "git_commit": "abc1234",
        **changes,
    }


def written(tmp_path, **changes):
    write_json(tmp_path / "reports" / "tuning" / "trials.json", record(**changes))
    return tmp_path


@pytest.mark.parametrize("name", ["auc_30", "pointmap_mse"])
def test_best_of_k_against_all_subsets(name):
    values = list(np.random.default_rng(0).normal(size=7).round(1))  # with a tie or two
    best = max if name == "auc_30" else min
    for count in range(1, len(values) + 1):
        subsets = [best(chosen) for chosen in itertools.combinations(values, count)]
        assert best_of(values, count, name) == pytest.approx(np.mean(subsets))


def test_best_of_k_at_its_ends():
    assert best_of([3.0, 1.0, 2.0], 1, "auc_30") == pytest.approx(2.0)
    assert best_of([3.0, 1.0, 2.0], 3, "auc_30") == pytest.approx(3.0)
    assert best_of([3.0, 1.0, 2.0], 3, "pointmap_mse") == pytest.approx(1.0)


def test_the_report_in_both_formats_and_for_machines(tmp_path):
    told = write_tuning(written(tmp_path))
    folder = tmp_path / "reports" / "tuning"
    assert told.path == folder / "report.html"
    page, text = told.path.read_text(), (folder / "report.md").read_text()
    for words in ("Chosen values", "default values", "3 to step 5, 2 to step 10", "Too few"):
        assert words in page
        assert words in text
    assert page.count("data:image/png;base64") >= 2
    assert "http://" not in page
    found = json.loads((folder / "results.json").read_text())["formulations"]["flow-factored"]
    assert found["chosen"] == 1
    assert found["gain"] == pytest.approx(1.5)
    assert found["best_of"] == pytest.approx([16 / 3, (5 + 7 + 7) / 3, 7.0])
    assert (folder / "tables" / "candidates-3d-sup.csv").exists()
    assert "+1.50" in told.text


def test_equal_effort_is_stated_and_a_failure_revokes_it(tmp_path):
    fair = load_tuning(written(tmp_path))
    assert effort_sentence(fair).endswith("Each trained 25 steps in all.")
    broken = replace(fair.formulations[1].trials[2], failed="out of memory", rungs=(None,))
    trials = (*fair.formulations[1].trials[:2], broken)
    unfair = replace(
        fair, formulations=(fair.formulations[0], replace(fair.formulations[1], trials=trials))
    )
    assert "Some failed (1 of flow-factored): their effort is not equal" in effort_sentence(unfair)
    assert unfair.formulations[1].compared == [5.0, 7.0]


def test_an_unfinished_tuning_claims_nothing(tmp_path):
    trials = [trial(0, None, steps=0), trial(1, None, steps=0), trial(2, None, steps=0)]
    waiting = {"trials": trials, "chosen": None, "importance": None}
    write_tuning(written(tmp_path, formulations=dict.fromkeys(FORMULATIONS, waiting)))
    text = (tmp_path / "reports" / "tuning" / "report.md").read_text()
    assert "Unfinished: nothing is chosen yet." in text
    assert "Tuning brought most" not in text


def test_importance_is_shown_with_its_limits(tmp_path):
    shares = {"training.stages.1.lr": 0.75, "loss.flow_weight": 0.25}
    entry = {**record()["formulations"]["3d-sup"], "importance": shares}
    write_tuning(written(tmp_path, formulations={"3d-sup": entry}))
    text = (tmp_path / "reports" / "tuning" / "report.md").read_text()
    assert "| 3d-sup | 75 % | 25 % |" in text
    assert "a hint, not a measurement" in text


def test_no_gain_without_a_default(tmp_path):
    entry = {**record()["formulations"]["3d-sup"]}
    entry["trials"] = [trial(0, 5.0, None, failed="it broke"), *entry["trials"][1:]]
    tuning = load_tuning(written(tmp_path, formulations={"3d-sup": entry}))
    assert gain(tuning, tuning.formulations[0]) is None


def test_mistakes_are_named(tmp_path, capsys):
    with pytest.raises(DataError, match=r"a report of its own: python analysis/tuning\.py"):
        write_report(tmp_path, "tuning")
    with pytest.raises(DataError, match="no record of sweep=tuning"):
        load_tuning(tmp_path)
    two = {**record()["formulations"]["3d-sup"]}
    two["trials"] = [trial(0, 1.0), {**trial(1, 1.0), "default": True}]
    with pytest.raises(DataError, match="exactly one candidate has the default values"):
        load_tuning(written(tmp_path, formulations={"3d-sup": {**two, "chosen": None}}))
    assert command.main(["nonsense"]) == 2
    assert "valid settings are output_dir=" in capsys.readouterr().err


# -- how much of a difference is tuning: the section of the tuned sweep's report -----------------

ARMS = {
    "3d-sup": ("3d-sup", 0, 16, False),
    "flow-factored": ("flow-factored", 1024, 16, False),
    "3d-sup-default": ("3d-sup", 0, 16, False),
    "flow-factored-default": ("flow-factored", 1024, 16, False),
}
EFFECTS = {"flow-factored": 5.0, "3d-sup": 1.0, "flow-factored-default": 3.0}


@pytest.fixture
def tuned_store(store, tmp_path):
    return store(sweep="formulations-tuned", arms=dict(ARMS), effects=EFFECTS).write(tmp_path)


def test_the_difference_of_differences_is_paired(tuned_store):
    records = load_records(tuned_store, "formulations-tuned")
    values, _, _ = score_matrices(records, list(ARMS), "dynamic", "auc_30")
    means = dict(zip(ARMS, values.mean(axis=(1, 2))))
    tuned = means["flow-factored"] - means["3d-sup"]
    usual = means["flow-factored-default"] - means["3d-sup-default"]
    [base, factored] = tuning_table(records).rows
    assert base[0] == "3d-sup"
    assert base[2:] == ("–", "–", "–")
    shown = [float(cell.split()[0].replace("−", "-")) for cell in factored[1:]]
    gained = means["flow-factored"] - means["flow-factored-default"]
    assert shown == pytest.approx([gained, tuned, usual, tuned - usual], abs=0.051)
    assert all("[" in cell for cell in factored[1:])  # each with its interval


def test_the_report_says_how_much_is_tuning(tuned_store, store, tmp_path_factory):
    write_report(tuned_store, "formulations-tuned")
    text = (tuned_store / "reports" / "formulations-tuned" / "report.md").read_text()
    assert "**How much is tuning:** flow-factored − 3d-sup" in text
    assert "How much of it is tuning?" in text
    untuned = store(scenes=6).write(tmp_path_factory.mktemp("untuned"))
    records = load_records(untuned, "formulations")
    assert tuning_section(records) is None
    assert tuning_sentence(records) is None
