"""Reading run directories: what is there, what is missing, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest

from analysis.records import learning_curves, load_records, run_figures, score_matrices
from flow3r.errors import DataError
from flow3r.files import read_json, write_json


def edit(path, change):
    value = read_json(path)
    change(value)
    write_json(path, value)


def test_tidy_scores(store, tmp_path):
    recorded = store(seeds=(0, 1), scenes=3)
    records = load_records(recorded.write(tmp_path), "formulations")
    assert records.complete
    assert records.benchmarks() == ["static", "dynamic"]
    assert len(records.scores) == 6 * 2 * 2 * 3 * 5  # arms, seeds, benchmarks, scenes, metrics
    row = records.scores.query(
        "arm == 'flow-factored' and seed == 1 and benchmark == 'dynamic' "
        "and scene == 'dynamic/000002' and metric == 'auc_30'"
    ).iloc[0]
    expected = recorded.score("dynamic", "auc_30", "flow-factored", 1)[2]
    assert row["value"] == pytest.approx(expected)
    assert (row["formulation"], row["unlabelled_clips"]) == ("flow-factored", 1024)
    assert (row["labelled_clips"], row["train_seconds"], row["parameters"]) == (16, 100, 430_000)
    assert (records.runs["clips_per_step"] == 24).all()


def test_a_sweep_may_limit_its_benchmarks(store, tmp_path):
    store(seeds=(0, 1), scenes=3).write(tmp_path)
    plan = tmp_path / "reports" / "formulations" / "plan.json"
    edit(plan, lambda p: p.update(benchmarks=["dynamic"]))
    assert load_records(tmp_path, "formulations").benchmarks() == ["dynamic"]


def test_matrices_hold_shared_seeds_and_scenes(store, tmp_path, run_id):
    recorded = store(seeds=(0, 1, 2), scenes=4)
    recorded.write(tmp_path)
    status = tmp_path / "runs" / run_id("formulations", "flow-factored", 1) / "status.json"
    edit(status, lambda s: s.update(state="running"))
    evaluation = tmp_path / "runs" / run_id("formulations", "3d-sup", 2) / "evaluation.json"
    edit(evaluation, lambda e: e["benchmarks"]["dynamic"]["scenes"].pop(0))
    records = load_records(tmp_path, "formulations")
    arms = ["flow-factored", "3d-sup"]
    values, seeds, scenes = score_matrices(records, arms, "dynamic", "rra_15")
    assert seeds == [0, 2]
    assert scenes == [f"dynamic/{k:06d}" for k in range(4)]
    assert np.isnan(values[1, 1, 0])
    assert np.isnan(values).sum() == 1
    np.testing.assert_allclose(values[0, 1], recorded.score("dynamic", "rra_15", arms[0], 2))


def test_same_run_under_two_arms(store, tmp_path, run_id):
    store(seeds=(0, 1), scenes=3).write(tmp_path)

    def alias(plan):
        plan["arms"].append({**plan["arms"][0], "arm": "a-a"})
        for seed in (0, 1):
            same = run_id("formulations", "3d-sup", seed)
            plan["runs"].append({"arm": "a-a", "seed": seed, "run_id": same})

    edit(tmp_path / "reports/formulations/plan.json", alias)
    records = load_records(tmp_path, "formulations")
    values, _, _ = score_matrices(records, ["a-a", "3d-sup"], "static", "rra_15")
    np.testing.assert_array_equal(values[0], values[1])
    rows = records.scores.groupby("arm", observed=True).size()
    assert rows["a-a"] == rows["3d-sup"] == 2 * 2 * 3 * 5  # seeds, benchmarks, scenes, metrics


def test_covariates_of_the_scenes(store, tmp_path, run_id):
    store(seeds=(0,), scenes=2).write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "flow-factored", 0) / "evaluation.json"
    evaluation = read_json(path)
    for row, value in zip(evaluation["benchmarks"]["dynamic"]["scenes"], (0.25, None)):
        row["covariates"] = {"moving_share": value}
    write_json(path, evaluation)
    found = load_records(tmp_path, "formulations").covariates
    assert list(found["scene"]) == ["dynamic/000000", "dynamic/000001"]
    assert found["value"].iloc[0] == 0.25
    assert np.isnan(found["value"].iloc[1])


def test_missing_plan_names_the_known_ones(store, tmp_path):
    store(seeds=(0,), scenes=2).write(tmp_path)
    with pytest.raises(DataError, match=r"no plan of sweep 'scaling'.*\['formulations'\]"):
        load_records(tmp_path, "scaling")


def test_no_finished_run(store, tmp_path):
    recorded = store(seeds=(0,), scenes=2)
    write_json(tmp_path / "reports/formulations/plan.json", recorded.plan())
    with pytest.raises(DataError, match="no finished run"):
        load_records(tmp_path, "formulations")


def duplicate_seed(plan):
    plan["runs"].append({**plan["runs"][0], "run_id": "0" * 12})


def one_run_two_seeds(plan):
    plan["runs"].append({**plan["runs"][0], "seed": 99})


def unknown_arm(plan):
    plan["runs"][0]["arm"] = "nonsense"


def no_runs(plan):
    del plan["runs"]


def arm_twice(plan):
    plan["arms"].append(plan["arms"][0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (duplicate_seed, "planned twice"),
        (one_run_two_seeds, "one run counts once"),
        (unknown_arm, "unknown arm 'nonsense'"),
        (no_runs, "not a valid plan"),
        (arm_twice, "named twice"),
    ],
)
def test_contradicting_plans_are_refused(store, tmp_path, change, message):
    store(seeds=(0, 1), scenes=2).write(tmp_path)
    path = tmp_path / "reports/formulations/plan.json"
    edit(path, change)
    with pytest.raises(DataError, match=message) as error:
        load_records(tmp_path, "formulations")
    assert str(path) in str(error.value)


def test_a_repeated_line_of_the_plan_is_one_run(store, tmp_path):
    store(seeds=(0, 1), scenes=2).write(tmp_path)
    path = tmp_path / "reports/formulations/plan.json"
    edit(path, lambda plan: plan["runs"].append(plan["runs"][0]))
    assert len(load_records(tmp_path, "formulations").runs) == 12


def test_scores_on_different_data_are_not_paired(store, tmp_path, run_id):
    store(seeds=(0, 1), scenes=2).write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "3d-sup", 1) / "evaluation.json"
    edit(path, lambda e: e["benchmarks"]["static"].update(fingerprint="other"))
    with pytest.raises(DataError, match="cannot be paired"):
        load_records(tmp_path, "formulations")


def test_damaged_file_is_named(store, tmp_path, run_id):
    store(seeds=(0,), scenes=2).write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "3d-sup", 0) / "status.json"
    path.write_text("{")
    with pytest.raises(DataError, match=r"status\.json: damaged JSON"):
        load_records(tmp_path, "formulations")


def test_learning_curves_of_a_running_run(store, tmp_path, run_id):
    store(seeds=(0, 1), scenes=2).write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "3d-sup", 0) / "metrics.jsonl"
    lines = path.read_text().splitlines()[:3]
    path.write_text("\n".join(lines) + '\n{"step": 40, "met')
    curves = learning_curves(load_records(tmp_path, "formulations"))
    rows = curves.query("arm == '3d-sup' and seed == 0 and metric == 'train/loss'")
    assert rows["step"].tolist() == [10, 20, 30]
    expected = [json.loads(line)["metrics"]["train/loss"] for line in lines]
    np.testing.assert_allclose(rows["value"], expected)
    path.write_text('{"step": 1, "me\n' + "\n".join(lines))
    with pytest.raises(DataError, match="line 1: damaged"):
        learning_curves(load_records(tmp_path, "formulations"))


def test_figures_come_from_the_first_finished_seed(store, tmp_path, run_id):
    store(seeds=(0, 1), scenes=2).write(tmp_path)
    for seed in (0, 1):
        folder = tmp_path / "runs" / run_id("formulations", "3d-sup", seed) / "figures"
        folder.mkdir()
        (folder / "flow.png").write_bytes(bytes([seed]))
    status = tmp_path / "runs" / run_id("formulations", "3d-sup", 0) / "status.json"
    edit(status, lambda s: s.update(state="failed", reason="NaN loss"))
    records = load_records(tmp_path, "formulations")
    (found,) = run_figures(records, "3d-sup")
    assert found.read_bytes() == b"\x01"
    assert run_figures(records, "flow-factored") == []


def test_bare_records_have_no_cost(store, tmp_path, run_id):
    store(seeds=(0,), scenes=2).write(tmp_path)
    folder = tmp_path / "runs" / run_id("formulations", "3d-sup", 0)
    (folder / "provenance.json").unlink()
    (folder / "spec.json").unlink()
    records = load_records(tmp_path, "formulations", allow_mixed=True)
    run = records.runs.query("arm == '3d-sup'").iloc[0]
    assert pd.isna(run["parameters"])
    assert pd.isna(run["clips_per_step"])
    assert run["finished"]
