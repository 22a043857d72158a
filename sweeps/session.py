"""One invocation of the front door: plan, record the plan, execute, track, report."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.shipped import is_shipped
from flow3r.errors import ConfigError, DataError
from sweeps import states
from sweeps.console import Console, make_console
from sweeps.console.progress import InWork, Snapshot, Watch, take_snapshot
from sweeps.drawing import draw_all, draw_headline, figures_due
from sweeps.executors.choice import make_executor, sweep_slots
from sweeps.executors.ledger import FAILED, INTERRUPTED, Ledger
from sweeps.jobs import Job, plan_jobs
from sweeps.options import Options
from sweeps.planning.expansion import Plan
from sweeps.planning.making import make_plan, make_recorded_plan
from sweeps.planning.plan_file import superseded_entries
from sweeps.planning.preview import preview
from sweeps.planning.selection import Selection, chosen_runs, select
from sweeps.planning.superseded import superseded_runs
from sweeps.timekeeping.cost import CostModel
from sweeps.timekeeping.timeline import Timeline, timeline_path
from sweeps.tracking.pages import links
from sweeps.tracking.tracker import Tracker

EXIT_DONE, EXIT_FAILED, EXIT_STOPPED = 0, 1, 130
NO_REPORT = "no report, as asked: the same command without report=false writes it"
_WARNINGS = 3  # of the same kind; more would hide the table


def preview_sweep(options: Options) -> str:
    """The text of a dry run; writes nothing."""
    plan = make_plan(options)
    jobs = plan_jobs(plan, options.output_dir)
    costs = make_costs(plan, options.output_dir)
    slots = len(sweep_slots(options, plan))
    text = preview(plan, jobs, _select(options, plan, jobs), costs, slots, options.output_dir)
    return "\n".join([text, *_superseded(plan, options.output_dir)])


def run_sweep(options: Options) -> int:
    """Run the whole sweep; returns the exit code."""
    plan = make_recorded_plan(options)
    jobs = plan_jobs(plan, options.output_dir)
    selection = _select(options, plan, jobs)
    session = _Session(options, plan, jobs, selection, make_costs(plan, options.output_dir))
    console = make_console(options, session.snapshot)
    tracker = None
    if options.tracking:
        tracker = Tracker(options.output_dir, plan.sweep, options.tracking_uri)
    exit_code, words, closing = EXIT_FAILED, [], _Closing()
    try:
        ledger = session.run(console)
        exit_code = exit_code_of(ledger) or (EXIT_FAILED if selection.failed else EXIT_DONE)
        words = failures(ledger)
        if exit_code == EXIT_STOPPED:
            words.append("stopped; the same command continues")
        else:
            closing = _close(options, plan, jobs, tracker, console)
            exit_code = exit_code if closing.well else EXIT_FAILED
    finally:
        problem = tracker.finish() if tracker else None
    words += closing.words
    if problem:
        words.append(f"warning: {problem}")
    console.finished(exit_code, words, closing.report)
    return exit_code


def _select(options: Options, plan: Plan, jobs: Sequence[Job]) -> Selection:
    chosen = chosen_runs(plan, options.only)
    state = {job.id: states.state_of(job.directory) for job in jobs}
    return select(jobs, state, chosen, options.retry)


def _superseded(plan: Plan, output_dir: Path) -> list[str]:
    return superseded_runs(plan, superseded_entries(plan, output_dir), output_dir)


def make_costs(plan: Plan, output_dir: Path) -> CostModel:
    """What the profile estimates, corrected by what was measured in this folder."""
    wanted = plan.runtime.get("shipped_weights", True)
    shipped = {stage.name for stage in plan.stages if wanted and is_shipped(stage.name)}
    costs = CostModel(dict(plan.cost), shipped)
    costs.learn_from(output_dir)
    return costs


def draw_figures(jobs: Sequence[Job], tracker: Tracker | None, console: Console) -> list[str]:
    """Wait until all finished runs have their figures; returns a warning for each that has none.

    The tracker has drawn most of them meanwhile. Without one they are drawn here.
    """
    runs = [(job.label, job.directory) for job in jobs if job.is_run]
    due = sum(figures_due(directory) for _, directory in runs)
    if due:
        console.say(f"drawing the figures of {due} run{'s' if due != 1 else ''}")
    undrawn = tracker.draw_figures() if tracker else None
    if undrawn is None:
        undrawn = draw_all(runs)
    words = [f"warning: no figures of {found.run}: {found.reason}" for found in undrawn]
    if len(words) > _WARNINGS:
        more = f"warning: nor of {len(words) - _WARNINGS} more runs"
        words = [*words[:_WARNINGS], more]
    return words


@dataclass(frozen=True)
class _Session:
    """The jobs that this invocation looks at, and what it learns of them meanwhile."""

    options: Options
    plan: Plan
    jobs: Sequence[Job]
    selection: Selection
    costs: CostModel
    work: dict[str, InWork] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        return len(sweep_slots(self.options, self.plan))

    def snapshot(self, ledger: Ledger) -> Snapshot:
        """For the console."""
        left = {job.id for job in self.selection.left}
        runs = [job for job in self.jobs if job.is_run and job.id not in left]
        return take_snapshot(runs, ledger, self.costs, self.slots, self.work)

    def run(self, console: Console) -> Ledger:
        """Run what is open."""
        self._announce(console)
        open_jobs = self.selection.jobs
        path = timeline_path(self.options.output_dir, self.plan.sweep)
        timeline = Timeline(path, self.slots, Watch(console, self.costs, self.work))
        seconds = self.costs.known(open_jobs)
        try:
            executor = make_executor(self.options, self.plan, open_jobs, timeline, seconds)
            with timeline.recording():
                return executor.run()
        finally:
            console.close()

    def _announce(self, console: Console) -> None:
        runs, plan = [job for job in self.jobs if job.is_run], self.plan
        left, todo = len(self.selection.left), sum(job.is_run for job in self.selection.jobs)
        slots, done = self.slots, len(runs) - left - todo
        console.planned(
            f"sweep {plan.sweep}, profile {plan.profile}: {len(runs)} runs, {done} done already, "
            + (f"{left} left alone, " if left else "")
            + f"{slots} slot{'s' if slots != 1 else ''}, in {self.options.output_dir}",
            {
                "sweep": plan.sweep,
                "profile": plan.profile,
                "output_dir": str(self.options.output_dir),
                "slots": slots,
                "runs": len(runs),
                "done": done,
                "left_alone": left,
                "jobs": [job.id for job in self.selection.jobs],
            },
        )
        for line in _superseded(plan, self.options.output_dir):
            console.say(line)


def exit_code_of(ledger: Ledger) -> int:
    """How the front door ends."""
    ended = [outcome.state for outcome in ledger.outcomes.values()]
    if INTERRUPTED in ended or not ledger.finished():
        return EXIT_STOPPED
    return EXIT_FAILED if FAILED in ended else EXIT_DONE


def failures(ledger: Ledger) -> list[str]:
    """A line per failed job, then their logs."""
    failed = [(ledger.jobs[n], o) for n, o in ledger.outcomes.items() if o.state == FAILED]
    words = [f"failed: {job.label} ({job.id}): {outcome.reason}" for job, outcome in failed]
    return [*words, *(f"log: {j.directory / 'log.txt'}" for j, _ in failed if _has_log(j))]


@dataclass
class _Closing:
    """What is said at the end; `well`: nothing went wrong after the runs."""

    words: list[str] = field(default_factory=list)
    report: Path | None = None
    well: bool = True


def _close(
    options: Options, plan: Plan, jobs: Sequence[Job], tracker: Tracker | None, console: Console
) -> _Closing:
    """Figures and report where they are wanted, and where everything is."""
    closing = _Closing([NO_REPORT])
    if options.report:
        closing = _draw_and_report(options.output_dir, plan, jobs, tracker, console)
    if tracker:
        uri = options.tracking_uri or f"sqlite:///{options.output_dir / 'mlflow.db'}"
        closing.words += links(uri, tracker.experiment)
    return closing


def _draw_and_report(
    output_dir: Path, plan: Plan, jobs: Sequence[Job], tracker: Tracker | None, console: Console
) -> _Closing:
    """Figures, then the report, which shows them."""
    warnings = draw_figures(jobs, tracker, console)
    closing = _Closing()
    if any(job.is_run and states.state_of(job.directory) == states.DONE for job in jobs):
        missing = draw_headline(output_dir, plan.sweep)
        if missing:
            warnings.append(f"warning: the headline's arms are not drawn side by side: {missing}")
        closing = _report(output_dir, plan.sweep)
    closing.words += warnings
    return closing


def _report(output_dir: Path, sweep: str) -> _Closing:
    from analysis.report import refresh_report

    try:
        summary = refresh_report(output_dir, sweep)
    except (ConfigError, DataError) as error:  # the records cannot be compared as they are
        return _Closing([f"no report: {error}"], well=False)
    except Exception:  # the runs are safe; say what remains to be done instead of hiding them
        traceback.print_exc()
        again = f"sweep={sweep} output_dir={output_dir}"
        words = [f"no report (see above); python analysis/report.py {again} tries again"]
        return _Closing(words, well=False)
    words = ["", summary.table, "", summary.answer, "", f"Report: {summary.path}"]
    return _Closing(words, summary.path)


def _has_log(job: Job) -> bool:
    return (job.directory / "log.txt").exists()
