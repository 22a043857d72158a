"""The MLflow projection against a small SQLite store: complete, and the same however often."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient

from experiments.rundir import now
from flow3r.files import write_json
from sweeps.tracking_store import SweepProjection, default_uri, planned_runs

RUN = "0123456789ab"
SPEC = {
    "seed": 3,
    "formulation": {"name": "flow-factored"},
    "long": "x" * 7000,
    "data": {"clips": 4},
}


@pytest.fixture
def output_dir(tmp_path, migrated_store) -> Path:
    """An output folder with a plan of one run shared by two arms, half trained."""
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    arm = {"formulation": "flow-factored", "unlabelled_clips": 8, "labelled_clips": 4}
    asked = {"arm": "two", "baseline": "one", "benchmark": "dynamic", "metrics": ["rra_15"]}
    plan = {
        **{"sweep": "tiny", "question": "Which?", "profile": "smoke", "baseline": "one"},
        **{"headline": asked, "scaling": None},
        "arms": [{"arm": name, **arm, "yardstick": False} for name in ("one", "two")],
        "runs": [
            {"arm": name, "seed": 3, "run_id": RUN, "depends_on": []} for name in ("one", "two")
        ],
    }
    write_json(tmp_path / "reports/tiny/plan.json", plan)
    directory = tmp_path / "runs" / RUN
    write_json(directory / "spec.json", {"spec": SPEC})
    set_state(directory, "running")
    append(directory, 1, 2)
    return tmp_path


def set_state(directory, state, reason=None):
    moment = now()
    status = {"state": state, "reason": reason, "attempts": 1, "started": moment, "stage": "joint"}
    status |= {"updated": moment, "finished": moment, "host": "elsewhere", "pid": 1, "seconds": 2.5}
    write_json(directory / "status.json", status)


def append(directory, *steps, **extra):
    with open(directory / "metrics.jsonl", "a", encoding="utf-8") as file:
        for step in steps:
            record = {"step": step, "stage": "joint", "time": 10.0 + step}
            file.write(json.dumps({**record, "metrics": {"train/loss": 1 / step}, **extra}) + "\n")


def finish(directory):
    summary = {"rra_15": 75.0, "flow_epe": None}
    write_json(
        directory / "evaluation.json", {"step": 9, "benchmarks": {"static": {"summary": summary}}}
    )
    provenance = {
        "git_commit": "abc",
        "git_dirty": False,
        "data_fingerprints": {"labelled": "ff00"},
    }
    write_json(directory / "provenance.json", {**provenance, "parameters": {"backbone": 12}})
    (directory / "figures").mkdir()
    (directory / "figures" / "flow.png").write_bytes(b"png")
    set_state(directory, "done")


def contents(output_dir):
    """What the database holds, without ids and times of creation."""
    with sqlite3.connect(output_dir / "mlflow.db") as store:
        active = "run_uuid in (select run_uuid from runs where lifecycle_stage = 'active')"
        return {
            "runs": store.execute(f"select name, status from runs where {active}").fetchall(),
            "metrics": sorted(
                store.execute(f"select key, step, value from metrics where {active}").fetchall()
            ),
            "params": sorted(
                store.execute(f"select key, value from params where {active}").fetchall()
            ),
            "tags": dict(store.execute(f"select key, value from tags where {active}").fetchall()),
        }


def test_a_run_is_shown_while_it_trains(output_dir):
    SweepProjection(output_dir, "tiny").sync()
    shown = contents(output_dir)
    assert shown["runs"] == [("one/two seed 3", "RUNNING")]
    assert shown["metrics"] == [("train/loss", 1, 1.0), ("train/loss", 2, 0.5)]
    assert ("data.clips", "4") in shown["params"]
    assert "long" not in dict(shown["params"])  # MLflow would cut it; it is in the artifact
    expected = {"arm": "one, two", "seed": "3", "unlabelled_clips": "8", "run_id": RUN}
    assert expected.items() <= shown["tags"].items()
    assert shown["tags"]["state"] == "running"


def test_syncing_again_changes_nothing_in_the_same_and_in_a_new_tracker(output_dir):
    projection = SweepProjection(output_dir, "tiny")
    projection.sync()
    first = contents(output_dir)
    assert projection.sync() == 0
    assert SweepProjection(output_dir, "tiny").sync() == 0
    assert contents(output_dir) == first


def test_new_lines_are_added_and_a_resumed_run_repeats_nothing(output_dir):
    directory = output_dir / "runs" / RUN
    SweepProjection(output_dir, "tiny").sync()
    (directory / "metrics.jsonl").unlink()
    append(directory, 1)
    append(directory, 2, 3, time=99.0)  # step 2 is computed again, at another time
    assert SweepProjection(output_dir, "tiny").sync() == 1
    assert [step for _, step, _ in contents(output_dir)["metrics"]] == [1, 2, 3]


def test_a_tracker_killed_before_it_stored_its_cursor_repeats_nothing(output_dir):
    SweepProjection(output_dir, "tiny").sync()
    first = contents(output_dir)
    with sqlite3.connect(output_dir / "mlflow.db") as store:
        store.execute("delete from tags where key = 'mlflow.harness.cursor'")
    SweepProjection(output_dir, "tiny").sync()
    assert contents(output_dir) == first


def test_the_end_of_a_run(output_dir):
    projection = SweepProjection(output_dir, "tiny")
    projection.sync()
    finish(output_dir / "runs" / RUN)
    projection.sync()
    shown = contents(output_dir)
    assert shown["runs"] == [("one/two seed 3", "FINISHED")]
    assert ("test/static/rra_15", 0, 75.0) in shown["metrics"]
    assert not any(key == "test/static/flow_epe" for key, _, _ in shown["metrics"])
    assert shown["tags"]["git_commit"] == "abc"
    assert shown["tags"]["parameters.backbone"] == "12"
    artifacts = {path.name for path in (output_dir / "mlartifacts").rglob("*") if path.is_file()}
    assert {"spec.json", "evaluation.json", "provenance.json", "flow.png"} <= artifacts


@pytest.mark.parametrize(("state", "shown"), [("failed", "FAILED"), ("interrupted", "KILLED")])
def test_bad_ends_have_their_reason_and_a_new_attempt_runs_again(output_dir, state, shown):
    directory = output_dir / "runs" / RUN
    set_state(directory, state, "loss became nan")
    append(directory, 3, metrics={}, nonfinite={"train/loss": "nan"})
    projection = SweepProjection(output_dir, "tiny")
    projection.sync()
    assert contents(output_dir)["runs"] == [("one/two seed 3", shown)]
    assert contents(output_dir)["tags"]["reason"] == "loss became nan"
    assert contents(output_dir)["tags"]["nonfinite.train/loss"] == "nan at step 3"
    set_state(directory, "running")
    projection.sync()
    assert contents(output_dir)["runs"] == [("one/two seed 3", "RUNNING")]


def test_a_rebuilt_store_equals_the_one_that_grew(output_dir):
    projection = SweepProjection(output_dir, "tiny")
    projection.sync()
    append(output_dir / "runs" / RUN, 3)
    projection.sync()
    finish(output_dir / "runs" / RUN)
    projection.sync()
    grown = contents(output_dir)
    rebuilt = SweepProjection(output_dir, "tiny")
    rebuilt.clear()
    rebuilt.sync()
    assert contents(output_dir) == grown


def test_the_report_becomes_a_study_run(output_dir):
    folder = output_dir / "reports" / "tiny"
    projection = SweepProjection(output_dir, "tiny")
    projection.sync_study()  # not written yet: nothing to show
    cell = {"arm": "3d-sup++", "benchmark": "dynamic", "metric": "rra_15", "mean": 60.0}
    write_json(folder / "results.json", {"arms": [cell, {**cell, "metric": "ate", "mean": None}]})
    (folder / "report.md").write_text("# Report\n\n**The answer.**\n\n![figure](a.png)\n\n- more")
    (folder / "report.html").write_text("<!DOCTYPE html>")
    projection.sync_study()
    SweepProjection(output_dir, "tiny").sync_study()
    shown = contents(output_dir)
    assert shown["runs"] == [("study: tiny", "FINISHED")]
    assert shown["metrics"] == []  # a bar per arm would stand in front of the curves
    assert shown["tags"]["mlflow.note.content"].startswith("**The answer.**\n\nThe whole report")
    client = MlflowClient(default_uri(output_dir))
    (run,) = client.search_runs([projection.experiment], "tags.study = 'true'")
    assert "report.html" in [file.path for file in client.list_artifacts(run.info.run_id)]
    assert run.data.tags["complete"] == "false"


def test_an_experiment_brings_its_views_and_keeps_the_words_of_people(output_dir):
    first = SweepProjection(output_dir, "tiny")
    client, experiment = MlflowClient(default_uri(output_dir)), first.experiment
    tags = client.get_experiment(experiment).tags
    view = json.loads(tags["mlflow.sharedViewState.arms"])
    assert "metrics.`test/dynamic/rra_15`" in view["selectedColumns"]
    assert view["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "arm"}]
    assert "Which?" in tags["mlflow.note.content"]
    client.set_experiment_tag(experiment, "mlflow.note.content", "mine")
    SweepProjection(output_dir, "tiny")
    assert client.get_experiment(experiment).tags["mlflow.note.content"] == "mine"


def test_runs_shared_by_arms_are_listed_once(output_dir):
    (run,) = planned_runs(output_dir, "tiny")
    assert run["arms"] == ["one", "two"]
