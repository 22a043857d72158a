"""The order in which jobs may start, and what a failure takes with it."""

from __future__ import annotations

import pytest

from sweeps.executors.ledger import ACTIVE, DONE, FAILED, Ledger, Outcome


def ready(ledger):
    return [job.id for job in ledger.ready()]


def test_the_longest_chain_goes_first_then_what_most_wait_for(workshop):
    jobs = [
        workshop.job("small", kind="dataset"),
        workshop.job("big", kind="dataset"),
        workshop.job("source", kind="dataset"),
        workshop.job("pre", kind="pretrain", needs=("source",)),
        workshop.job("a", needs=("pre", "big", "small")),
        workshop.job("b", needs=("pre", "big")),
    ]
    ledger = Ledger(jobs)
    assert ready(ledger) == ["source", "big", "small"]
    ledger.settle("source", Outcome(DONE))
    assert ready(ledger) == ["big", "pre", "small"]
    assert ready(Ledger(jobs, {"small": 50.0}))[0] == "small"
    for name in ("pre", "big"):
        ledger.settle(name, Outcome(DONE))
    assert ready(ledger) == ["small", "b"]


def test_jobs_in_work_are_not_ready_and_unfinished(workshop):
    ledger = Ledger([workshop.job("a"), workshop.job("b")])
    ledger.mark("a", ACTIVE)
    assert ready(ledger) == ["b"]
    ledger.settle("b", Outcome(DONE))
    assert not ledger.finished()
    ledger.settle("a", Outcome(DONE))
    assert ledger.finished()


def test_a_failure_falls_through_with_the_first_cause(workshop):
    jobs = [
        workshop.job("data", kind="dataset"),
        workshop.job("pre", kind="pretrain", needs=("data",)),
        workshop.job("a", needs=("data", "pre")),
        workshop.job("b"),
    ]
    ledger = Ledger(jobs)
    assert sorted(ledger.settle("data", Outcome(FAILED, "disk full"))) == ["a", "pre"]
    assert ledger.outcomes["a"].reason == "needs data, which failed: disk full"
    assert ready(ledger) == ["b"]


def test_an_unknown_prerequisite_is_an_error(workshop):
    with pytest.raises(ValueError, match="ghost"):
        Ledger([workshop.job("a", needs=("ghost",))])
