"""Optuna's record: each candidate asked for and told once, and never told what was not measured."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.trial import TrialState

from sweeps.tuning.journal import Journal, trials_of
from sweeps.tuning.standings import races

FACTORED = "flow-factored"


@pytest.fixture
def journal(stand):
    return Journal(stand.tuning, stand.output_dir / "tuning" / "journal.log")


def recorded(stand, journal, formulation=FACTORED):
    journal.record(races(stand.tuning, stand.output_dir))
    path = stand.output_dir / "tuning" / "journal.log"
    return trials_of(path, journal.study_name(formulation))


def content(trials):
    """All of a trial but its times."""
    return [
        (t.number, t.state, t.values, t.params, t.intermediate_values, t.user_attrs) for t in trials
    ]


def test_a_tuning_from_begin_to_end(stand, journal):
    trials = recorded(stand, journal)
    assert [t.state for t in trials] == [TrialState.RUNNING] * 3
    assert [t.params for t in trials] == [t.values for t in stand.tuning.of(FACTORED)]
    stand.all_reach_rung({0: 5.0, 1: 6.0, 2: 7.0})
    trials = recorded(stand, journal)
    assert [t.intermediate_values for t in trials] == [{5: 5.0}, {5: 6.0}, {5: 7.0}]
    running, pruned = TrialState.RUNNING, TrialState.PRUNED
    assert [t.state for t in trials] == [running, pruned, running]
    stand.finish(FACTORED, 0, 6.5)
    stand.finish(FACTORED, 2, 8.0)
    trials = recorded(stand, journal)
    assert [t.values for t in trials if t.state == TrialState.COMPLETE] == [[6.5], [8.0]]
    study = optuna.load_study(
        study_name=journal.study_name(FACTORED),
        storage=optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(
                str(stand.output_dir / "tuning" / "journal.log")
            )
        ),
    )
    assert study.best_trial.user_attrs["candidate"] == 2


def test_recording_again_adds_nothing(stand, journal):
    stand.all_reach_rung({0: 5.0, 1: 6.0, 2: 7.0})
    first = content(recorded(stand, journal))
    assert content(recorded(stand, journal)) == first
    again = Journal(stand.tuning, stand.output_dir / "tuning" / "journal.log")
    assert content(recorded(stand, again)) == first


def test_a_deleted_journal_is_written_anew(stand, journal):
    stand.all_reach_rung({0: 5.0, 1: 6.0, 2: 7.0})
    stand.finish(FACTORED, 0, 6.5)
    first = content(recorded(stand, journal))
    (stand.output_dir / "tuning" / "journal.log").unlink()
    assert content(recorded(stand, journal)) == first


def test_what_failed_is_never_told_as_a_value_and_is_asked_for_again(stand, journal):
    stand.fail(FACTORED, 1)
    trials = recorded(stand, journal)
    assert (trials[1].state, trials[1].values) == (TrialState.FAIL, None)
    stand.reach_rung(FACTORED, 1, 6.0)  # tried again, and it works
    trials = recorded(stand, journal)
    assert len(trials) == 4
    assert trials[3].user_attrs["candidate"] == 1
    assert trials[3].params == trials[1].params
    stand.finish(FACTORED, 1, 6.0)
    trials = recorded(stand, journal)
    assert [t.state for t in trials].count(TrialState.COMPLETE) == 1


def test_a_score_that_is_not_finite_is_a_failure(stand, journal):
    stand.finish(FACTORED, 1, None)
    trials = recorded(stand, journal)
    assert (trials[1].state, trials[1].values) == (TrialState.FAIL, None)


def test_a_kill_between_enqueueing_and_asking_is_mended(stand, journal):
    path = stand.output_dir / "tuning" / "journal.log"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    study = optuna.create_study(
        storage=storage, study_name=journal.study_name(FACTORED), direction="maximize"
    )
    trial = stand.tuning.of(FACTORED)[0]
    attributes = {"candidate": 0, "run_ids": list(trial.run_ids)}
    study.enqueue_trial(trial.values, user_attrs=attributes)
    trials = recorded(stand, journal)
    assert [t.user_attrs["candidate"] for t in trials] == [0, 1, 2]
    assert all(t.state == TrialState.RUNNING for t in trials)


def test_many_writers_record_every_trial_once(stand):
    stand.all_reach_rung({0: 5.0, 1: 6.0, 2: 7.0})
    path = stand.output_dir / "tuning" / "journal.log"
    journals = [Journal(stand.tuning, path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda j: j.record(races(stand.tuning, stand.output_dir)), journals))
    trials = trials_of(path, journals[0].study_name(FACTORED))
    assert [t.user_attrs["candidate"] for t in trials] == [0, 1, 2]
