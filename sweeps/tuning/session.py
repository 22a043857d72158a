"""One invocation of `sweep=tuning`: rung after rung, then the choice and its report."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

from flow3r.errors import ConfigError, DataError
from sweeps.console import Console, make_console
from sweeps.console.progress import InWork, Snapshot, Watch, take_snapshot
from sweeps.executors.choice import make_executor, sweep_slots
from sweeps.executors.ledger import Ledger, Outcome
from sweeps.executors.rules import Observer
from sweeps.jobs import Job, needed_jobs, plan_jobs
from sweeps.options import Options, require_writable
from sweeps.planning.plan_file import git_commit, record_plan
from sweeps.session import EXIT_DONE, EXIT_FAILED, EXIT_STOPPED, NO_REPORT, make_costs
from sweeps.timekeeping.timeline import Timeline, timeline_path
from sweeps.tracking.tracker import Tracker
from sweeps.tuning.effort import seconds_left
from sweeps.tuning.journal import Journal
from sweeps.tuning.plan import TuningPlan, plan_tuning
from sweeps.tuning.preview import effort, preview
from sweeps.tuning.results import tuning_folder, write_trials, write_tuned
from sweeps.tuning.standings import Race, Standing, races


def preview_sweep(options: Options) -> str:
    """The text of a dry run; writes nothing."""
    tuning = plan_tuning(options)
    jobs = plan_jobs(tuning.plan, options.output_dir)
    costs = make_costs(tuning.plan, options.output_dir)
    slots = len(sweep_slots(options, tuning.plan))
    found = races(tuning, options.output_dir)
    left = seconds_left(tuning, found, jobs, costs, slots)
    return preview(tuning, found, left, slots, options.output_dir)


def run_sweep(options: Options) -> int:
    """Run the whole tuning; returns the exit code."""
    tuning = plan_tuning(options)
    require_writable(options.output_dir)
    record_plan(tuning.plan, options.output_dir)
    session = _Session(options, tuning)
    console = make_console(options, session.snapshot)
    tracker = None
    if options.tracking:
        tracker = Tracker(options.output_dir, tuning.plan.sweep, options.tracking_uri)
    closing = _Closing(EXIT_FAILED, [])
    try:
        complete = session.run(console)
        closing = _close(tuning, options, complete)
    finally:
        problem = tracker.finish() if tracker else None
    words = [*closing.words, *([f"warning: {problem}"] if problem else [])]
    console.finished(closing.exit_code, words, closing.report)
    return closing.exit_code


class _Session:
    """The rungs of one invocation."""

    def __init__(self, options: Options, tuning: TuningPlan) -> None:
        self._options, self._tuning = options, tuning
        output_dir, profile = options.output_dir, tuning.plan.profile
        self._jobs = plan_jobs(tuning.plan, output_dir)
        self._costs = make_costs(tuning.plan, output_dir)
        self._slots = len(sweep_slots(options, tuning.plan))
        self._journal = Journal(tuning, tuning_folder(output_dir, profile) / "journal.log")
        self._work: dict[str, InWork] = {}

    def run(self, console: Console) -> bool:
        """True when every trial has ended; False when stopped."""
        self._announce(console)
        try:
            return all(self._reach(rung, console) for rung in range(len(self._tuning.fields)))
        finally:
            self._journal.record(self._races())
            console.close()

    def snapshot(self, ledger: Ledger) -> Snapshot:
        """For the console; the time left is that of all rungs."""
        runs = [job for job in self._jobs if job.is_run and job.id in ledger.jobs]
        taken = take_snapshot(runs, ledger, self._costs, self._slots, self._work)
        left = seconds_left(self._tuning, self._races(), self._jobs, self._costs, self._slots)
        return replace(taken, eta=left)

    def _reach(self, rung: int, console: Console) -> bool:
        """Have every trial that is in the field train up to a rung; whether they all ended."""
        waiting = {run_id for race in self._races() for run_id in self._waiting(race, rung)}
        if waiting:
            self._execute(waiting, (*self._tuning.rungs, None)[rung], console)
        found = self._races()
        self._journal.record(found)
        open_ = [standing for race in found for standing in race.open(rung)]
        return all(standing.failed is not None for standing in open_)

    def _waiting(self, race: Race, rung: int) -> list[str]:
        """The runs that a rung still needs; failed ones are tried again unless retry=none."""
        again = self._options.retry != "none"
        standings = [s for s in race.open(rung) if again or s.failed is None]
        return [run_id for standing in standings for run_id in standing.missing(rung)]

    def _execute(self, run_ids: AbstractSet[str], pause_at: int | None, console: Console) -> None:
        """Train some runs up to a step, or to the end."""
        place = "the end" if pause_at is None else f"step {pause_at}"
        console.say(f"{len(run_ids)} runs to {place}, {self._slots} at a time")
        jobs = needed_jobs(self._jobs, {job.id for job in self._jobs if job.is_run} - run_ids)
        plan = self._tuning.plan
        paused = replace(plan, runtime={**plan.runtime, "pause_at": pause_at})
        observer = _Recording(Watch(console, self._costs, self._work), self._journal, self._races)
        path = timeline_path(self._options.output_dir, plan.sweep)
        timeline = Timeline(path, self._slots, observer)
        executor = make_executor(self._options, paused, jobs, timeline, self._costs.known(jobs))
        with timeline.recording():
            executor.run()

    def _races(self) -> tuple[Race, ...]:
        return races(self._tuning, self._options.output_dir)

    def _announce(self, console: Console) -> None:
        plan = self._tuning.plan
        facts = {"sweep": plan.sweep, "profile": plan.profile, "runs": len(plan.runs)}
        facts |= {"output_dir": str(self._options.output_dir), "slots": self._slots}
        text = f"sweep {plan.sweep}, profile {plan.profile}: {effort(self._tuning)}"
        console.planned(f"{text}, in {self._options.output_dir}", facts)


class _Recording:
    """Passes everything on, and writes what has ended to the journal."""

    def __init__(
        self, observer: Observer, journal: Journal, look: Callable[[], tuple[Race, ...]]
    ) -> None:
        self._observer, self._journal, self._look = observer, journal, look
        self.started, self.requeued, self.tick = observer.started, observer.requeued, observer.tick

    def ended(self, job: Job, outcome: Outcome) -> None:
        self._observer.ended(job, outcome)
        if job.is_run:
            self._journal.record(self._look())


@dataclass(frozen=True)
class _Closing:
    """How the front door ends, what it says, and where the report is if one was written."""

    exit_code: int
    words: list[str]
    report: Path | None = None


def _close(tuning: TuningPlan, options: Options, complete: bool) -> _Closing:
    """Write what was found."""
    output_dir = options.output_dir
    found, commit = races(tuning, output_dir), git_commit()
    write_trials(tuning, found, commit, output_dir)
    if not complete:
        return _Closing(EXIT_STOPPED, ["stopped; the same command continues"])
    closing = _report(output_dir) if options.report else _Closing(EXIT_DONE, [NO_REPORT])
    words = closing.words
    failed = [standing for race in found for standing in race.standings if standing.failed]
    words += [_failure(standing, output_dir) for standing in failed]
    path = write_tuned(tuning, found, commit, output_dir)
    if path is None:
        words.append("nothing is chosen: a formulation has no candidate that came to the end")
    else:
        words.append(f"Chosen values: {path}; sweep=formulations tuned=true uses them")
    well = path is not None and closing.exit_code == EXIT_DONE and not failed
    return replace(closing, exit_code=EXIT_DONE if well else EXIT_FAILED)


def _failure(standing: Standing, output_dir: Path) -> str:
    trial = standing.trial
    log = output_dir / "runs" / trial.run_ids[0] / "log.txt"
    return f"failed: {trial.formulation}, candidate {trial.number}: {standing.failed} (log: {log})"


def _report(output_dir: Path) -> _Closing:
    from analysis.tuning import write_tuning

    try:
        written = write_tuning(output_dir)
    except (ConfigError, DataError) as error:
        return _Closing(EXIT_FAILED, [f"no report: {error}"])
    except Exception:  # the runs are safe; say what remains to be done instead of hiding them
        traceback.print_exc()
        again = f"python analysis/tuning.py output_dir={output_dir}"
        return _Closing(EXIT_FAILED, [f"no report (see above); {again} tries again"])
    return _Closing(EXIT_DONE, ["", written.text, f"Report: {written.path}"], written.path)
