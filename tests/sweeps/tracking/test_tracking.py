"""The MLflow projection against a small SQLite store: complete, and the same however often."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from flow3r.errors import ConfigError
from flow3r.files import read_json, write_json
from sweeps.jobs import REPOSITORY
from sweeps.planning.planned import planned_runs
from sweeps.tracking import tracked_run
from sweeps.tracking.store import NotProjected, SweepProjection


def test_a_run_is_shown_while_it_trains(folder):
    assert folder.sync() == 2
    run = folder.shown()
    assert run["status"] == "RUNNING"
    assert run["points"] == {"train/loss": [(1, 1.0), (2, 0.5)]}
    expected = {"arm": "one, two", "seed": "3", "unlabelled_clips": "8", "run_id": folder.run_id}
    assert expected.items() <= run["tags"].items()
    assert run["tags"]["state"] == "running"


def test_every_parameter_is_there_or_says_where_it_is(folder):
    folder.sync()
    assert folder.shown()["params"] == {
        "seed": "3",
        "formulation.name": "flow-factored",
        "long": "(7000 characters: long in the artifact spec.json)",
        "data.clips": "4",
        "training.stages.0.name": "head",
        "training.stages.0.lr": "0.001",
        "training.stages.1.name": "joint",
        "training.stages.1.lr": "0.002",
    }


def test_syncing_again_changes_nothing_in_the_same_and_in_a_new_tracker(folder):
    projection = folder.projection()
    projection.sync()
    first = folder.shown()
    assert projection.sync() == 0
    assert folder.sync() == 0
    assert folder.shown() == first


def test_a_resumed_run_repeats_nothing(folder):
    folder.sync()
    (folder.run / "metrics.jsonl").unlink()
    folder.append(1)
    folder.append(2, 3, time=99.0)  # step 2 is computed again, at another time
    assert folder.sync() == 1
    assert [step for step, _ in folder.shown()["points"]["train/loss"]] == [1, 2, 3]


def test_two_trackers_take_turns_also_around_a_resume(folder):
    first, second = (folder.projection() for _ in range(2))
    first.sync()
    folder.append(3, 4)
    second.sync()
    (folder.run / "metrics.jsonl").unlink()
    folder.append(1, 2)
    folder.append(3, 4, 5, time=99.0)
    assert first.sync() == 1
    assert second.sync() == 0
    assert [step for step, _ in folder.shown()["points"]["train/loss"]] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_tracker_killed_between_the_points_and_its_cursor_repeats_nothing(
    folder, monkeypatch, resumed
):
    folder.sync()
    folder.append(3, 4)

    class KilledError(BaseException):
        pass

    def killed(*_):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(tracked_run.TrackedRun, "describe", killed)
        with pytest.raises(KilledError):
            folder.sync()
    assert len(folder.shown()["points"]["train/loss"]) == 4
    if resumed:
        (folder.run / "metrics.jsonl").unlink()
        folder.append(1, 2)
        folder.append(3, 4, time=99.0)
    folder.append(5)
    assert folder.sync() == 1
    assert [step for step, _ in folder.shown()["points"]["train/loss"]] == [1, 2, 3, 4, 5]


def test_a_tracker_killed_while_it_made_the_run_leaves_nothing_out(folder, monkeypatch):
    complete = folder.projection()
    with monkeypatch.context() as patch:
        patch.setattr(tracked_run.TrackedRun, "add_parameters", lambda *_: 1 / 0)
        with pytest.raises(NotProjected, match="division by zero"):
            complete.sync()
    assert folder.shown()["params"] == {}
    complete.sync()
    assert len(folder.shown()["params"]) == 8


def test_the_end_of_a_run(folder):
    projection = folder.projection()
    projection.sync()
    (folder.run / "checkpoint").mkdir()
    (folder.run / "checkpoint" / "weights.pt").write_bytes(b"weights")
    folder.append(7, file="system.jsonl", metrics={"system/cpu_utilization_percentage": 12.5})
    folder.finish()
    projection.sync()
    run = folder.shown()
    assert run["status"] == "FINISHED"
    assert run["points"]["test/static/rra_15"] == [(0, 75.0)]
    assert "test/static/flow_epe" not in run["points"]
    assert run["points"]["system/cpu_utilization_percentage"] == [(7, 12.5)]
    assert run["tags"]["git_commit"] == "abc"
    assert run["tags"]["parameters.backbone"] == "12"
    assert run["tags"]["weights"] == (folder.run / "checkpoint" / "weights.pt").as_uri()
    assert run["inputs"] == [("labelled-0", "ff00", ["labelled"]), ("source-0", "ff01", ["source"])]
    assert run["artifacts"] == [  # the weights are linked, not copied
        "evaluation.json",
        "figures/flow.png",
        "provenance.json",
        "spec.json",
    ]


def test_a_run_scored_anew_shows_the_new_score_only(folder):
    folder.finish()
    folder.sync()
    folder.score(80.0)
    folder.sync()
    assert folder.shown()["points"]["test/static/rra_15"] == [(0, 80.0)]


@pytest.mark.parametrize(("state", "status"), [("failed", "FAILED"), ("interrupted", "KILLED")])
def test_bad_ends_have_their_reason_until_a_new_attempt_is_made(folder, state, status):
    folder.append(3, metrics={}, nonfinite={"train/loss": "nan"})
    folder.set_state(state, "loss became nan", failure="non-finite")
    projection = folder.projection()
    projection.sync()
    run = folder.shown()
    assert run["status"] == status
    assert run["tags"]["reason"] == "loss became nan"
    assert run["tags"]["failure"] == "non-finite"
    assert run["tags"]["nonfinite.train/loss"] == "nan at step 3"
    assert "**non-finite**: loss became nan" in run["tags"]["mlflow.note.content"]
    assert run["points"]["train/loss"] == [(1, 1.0), (2, 0.5)]  # what there was is kept
    end = {"attempt": 1, "state": state, "failure": "non-finite", "reason": "loss became nan"}
    end["time"] = "2026-01-02T03:04:05.000+00:00"
    folder.set_state("running", attempts=2, history=[end])
    projection.sync()
    run = folder.shown()
    assert run["status"] == "RUNNING"
    assert "reason" not in run["tags"]
    assert run["tags"]["attempts"] == "2"
    told = "attempt 1: non-finite (loss became nan), 2026-01-02 03:04"
    assert run["tags"]["history"] == told
    assert f"Earlier attempts:\n\n- {told}" in run["tags"]["mlflow.note.content"]


def test_the_first_value_that_is_not_finite_stays_the_one_that_is_named(folder):
    projection = folder.projection()
    folder.append(3, metrics={}, nonfinite={"train/loss": "nan"})
    projection.sync()
    folder.append(4, metrics={}, nonfinite={"train/loss": "inf"})
    projection.sync()
    assert folder.shown()["tags"]["nonfinite.train/loss"] == "nan at step 3"


def grow(folder):
    """A store that has seen everything: a failure, a resume, a report, a report made anew."""
    projection = folder.projection()
    projection.sync()
    folder.append(3, metrics={}, nonfinite={"train/loss": "nan"})
    folder.set_state("failed", "loss became nan")
    projection.sync()
    (folder.run / "metrics.jsonl").unlink()
    folder.append(1)
    folder.append(2, 3, time=99.0)
    folder.append(5, file="system.jsonl", metrics={"system/cpu_utilization_percentage": 12.5})
    folder.set_state("running", attempts=2)
    projection.sync()
    folder.write_report(mean=50.0)
    projection.sync_study()
    folder.finish()
    projection.sync()
    folder.write_report()
    projection.sync_study()
    return folder.contents()


def test_a_store_rebuilt_in_place_equals_the_one_that_grew(folder):
    grown = grow(folder)
    rebuilt = folder.projection()
    assert rebuilt.clear() == 2
    rebuilt.sync()
    rebuilt.sync_study()
    assert folder.contents() == grown


def test_a_store_made_from_the_files_alone_equals_the_one_that_grew(folder, migrated_store):
    grown = grow(folder)
    shutil.copy(migrated_store, folder.path / "new.db")
    uri = f"sqlite:///{folder.path / 'new.db'}"
    rebuilt = SweepProjection(folder.path, folder.sweep, uri)
    rebuilt.sync()
    rebuilt.sync_study()
    assert folder.contents(uri) == grown


@pytest.mark.slow
def test_the_command_rebuilds_a_store_that_was_deleted(folder):
    grown = grow(folder)
    (folder.path / "mlflow.db").unlink()
    script = str(REPOSITORY / "sweeps" / "track.py")
    words = [sys.executable, script, "rebuild", f"output_dir={folder.path}"]
    answer = subprocess.run(words, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    # Spelled otherwise: MLflow keeps the deleted file open under its first name.
    assert folder.contents(f"sqlite:///{folder.path}/./mlflow.db") == grown


def test_a_store_of_another_version_is_refused_with_the_way_out(folder):
    with sqlite3.connect(folder.path / "mlflow.db") as store:
        store.execute("update alembic_version set version_num = '0'")
    with pytest.raises(ConfigError, match=r"another version of MLflow.*mlflow db upgrade.*rebuild"):
        folder.projection()


def test_a_run_that_does_not_repeat_to_the_bit_shows_what_is_on_disk(folder):
    grown = grow(folder)
    (folder.run / "metrics.jsonl").unlink()
    folder.append(1)
    folder.append(2, metrics={"train/loss": 0.50001})
    folder.sync()
    assert folder.shown()["points"]["train/loss"] == [(1, 1.0), (2, 0.50001)]
    assert folder.shown()["params"] == grown["runs"]["one/two seed 3"]["params"]


def test_what_people_wrote_survives_a_rebuild(folder):
    uri = folder.uri
    projection = folder.projection()
    projection.sync()
    client = MlflowClient(uri)
    (run,) = client.search_runs([projection.experiment])
    client.set_tag(run.info.run_id, "look", "again")
    client.set_tag(run.info.run_id, "mlflow.note.content", "strange curve")
    own = client.create_run(projection.experiment, run_name="own").info.run_id
    folder.append(3)
    projection.sync()  # does not write over them
    for _ in range(2):
        projection.clear()
        projection.sync()
        folder.set_state("running", attempts=2)
        projection.sync()
        tags = folder.shown()["tags"]
        assert (tags["look"], tags["mlflow.note.content"]) == ("again", "strange curve")
    assert client.get_run(own).info.lifecycle_stage == "active"
    deleted = client.search_runs([projection.experiment], run_view_type=ViewType.DELETED_ONLY)
    assert run.info.run_id in [found.info.run_id for found in deleted]


def test_a_run_that_cannot_be_projected_does_not_stop_the_others(folder):
    path = folder.path / "reports" / "tiny" / "plan.json"
    plan = read_json(path)
    broken = "ba9876543210"
    plan["runs"].insert(0, {"arm": "one", "seed": 4, "run_id": broken, "depends_on": []})
    write_json(path, plan)
    shutil.copytree(folder.run, folder.path / "runs" / broken)
    (folder.path / "runs" / broken / "metrics.jsonl").write_text("no JSON\n")
    with pytest.raises(NotProjected, match=rf"one seed 4 \({broken}\): JSONDecodeError"):
        folder.sync()
    assert folder.shown()["points"]["train/loss"] == [(1, 1.0), (2, 0.5)]


def test_names_and_numbers_that_mlflow_would_refuse(folder):
    names = {f"train/pck@{k}": "nan" for k in range(150)}  # more than fit into one batch of tags
    folder.append(3, metrics={"train/delta<1": 1.0}, nonfinite=names)
    folder.sync()
    run = folder.shown()
    assert run["points"]["train/delta_1"] == [(3, 1.0)]
    assert run["tags"]["nonfinite.train/pck_149"] == "nan at step 3"


def test_the_report_becomes_a_study_run(folder):
    projection = folder.projection()
    projection.sync_study()  # not written yet: nothing to show
    assert folder.contents()["runs"] == {}
    for mean in (50.0, 60.0):  # written again, with another run finished
        folder.write_report(mean=mean)
        projection.sync_study()
    folder.projection().sync_study()
    study = folder.contents()["runs"]["study: tiny"]
    assert study["status"] == "FINISHED"
    assert study["points"] == {"study/dynamic rra_15 over unlabelled clips": [(8, 60.0)]}
    assert study["tags"]["mlflow.note.content"].startswith("**The answer.**\n\nThe whole report")
    assert study["tags"]["complete"] == "false"
    assert "report.html" in study["artifacts"]


def test_an_experiment_brings_its_views_and_keeps_the_words_of_people(folder):
    first = folder.projection()
    client, experiment = MlflowClient(folder.uri), first.experiment
    tags = client.get_experiment(experiment).tags
    view = json.loads(tags["mlflow.sharedViewState.arms"])
    assert "metrics.`test/dynamic/rra_15`" in view["selectedColumns"]
    assert view["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "arm"}]
    assert view["compareRunCharts"][0]["metricKey"] == "test/dynamic/rra_15"
    assert all(len(value) <= 5000 for value in tags.values())  # MLflow's limit before 3.17
    assert "Which?" in tags["mlflow.note.content"]
    client.set_experiment_tag(experiment, "mlflow.note.content", "mine")
    folder.projection()
    assert client.get_experiment(experiment).tags["mlflow.note.content"] == "mine"


def test_runs_shared_by_arms_are_listed_once(folder):
    (run,) = planned_runs(folder.path, "tiny")
    assert run["arms"] == ["one", "two"]
