"""One invocation of the front door: plan, record the plan, execute, track, report."""

from __future__ import annotations

import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from experiments import compose, identity, stages
from flow3r.errors import ConfigError, DataError
from flow3r.files import read_json, write_json
from sweeps import states
from sweeps.console import PlainConsole, make_console
from sweeps.cost import CostModel
from sweeps.drawing import draw_all, draw_headline, figures_due
from sweeps.executors.choice import make_executor, sweep_slots
from sweeps.executors.ledger import FAILED, INTERRUPTED, Ledger, Outcome
from sweeps.executors.resources import Slot
from sweeps.jobs import REPOSITORY, Job, needed_jobs, plan_jobs
from sweeps.locks import locked
from sweeps.options import Options, require_writable
from sweeps.pages import links
from sweeps.plan import Experiments, Plan, expand, plan_record
from sweeps.preview import preview
from sweeps.progress import Snapshot, take_snapshot
from sweeps.questions import stated
from sweeps.tracker import Tracker

EXIT_DONE, EXIT_FAILED, EXIT_STOPPED = 0, 1, 130
_WARNINGS = 3  # of the same kind; more would hide the table


def preview_sweep(options: Options) -> str:
    """The text of a dry run; writes nothing."""
    plan = make_plan(options)
    jobs = plan_jobs(plan, options.output_dir)
    costs = make_costs(plan, options.output_dir)
    return preview(plan, jobs, costs, len(sweep_slots(options, plan)), options.output_dir)


def run_sweep(options: Options) -> int:
    """Run the whole sweep; returns the exit code."""
    plan = make_plan(options)
    require_writable(options.output_dir)
    record_plan(plan, options.output_dir)
    jobs = plan_jobs(plan, options.output_dir)
    tracker = None
    if options.tracking:
        tracker = Tracker(options.output_dir, plan.sweep, options.tracking_uri)
    exit_code, closing = EXIT_FAILED, []
    try:
        ledger = _run_jobs(options, plan, jobs)
        exit_code = exit_code_of(ledger)
        closing = failures(ledger)
        if exit_code == EXIT_STOPPED:
            closing.append("stopped; the same command continues")
        else:
            words, reported = _close(options, plan, jobs, tracker)
            closing += words
            exit_code = exit_code if reported else EXIT_FAILED
    finally:
        problem = tracker.finish() if tracker else None
    if problem:
        closing.append(f"warning: {problem}")
    print("\n".join(closing))
    return exit_code


def make_plan(options: Options) -> Plan:
    """Compose and expand the sweep."""
    experiments = Experiments(compose.compose, identity.run_id, stages.required_stages)
    sweep = compose.load_sweep(options.sweep, options.profile)
    return expand(sweep, options.profile, options.overrides, options.seeds, experiments)


def make_costs(plan: Plan, output_dir: Path) -> CostModel:
    """What the profile estimates, corrected by what was measured in this folder."""
    costs = CostModel(dict(plan.cost))
    costs.learn_from(output_dir)
    return costs


def record_plan(plan: Plan, output_dir: Path) -> None:
    """Write plan.json; ConfigError where the folder holds this sweep in another profile."""
    path = output_dir / "reports" / plan.sweep / "plan.json"
    with locked(path.parent / ".plan.lock"):
        before = read_json(path) if path.exists() else None
        if before is not None and (other := before["profile"]) != plan.profile:
            raise ConfigError(
                f"output_dir={output_dir} holds sweep={plan.sweep} with profile={other}, not "
                f"profile={plan.profile}; choose another output_dir, or profile={other}"
            )
        record = plan_record(plan, git_commit())
        directories = [output_dir / "runs" / run.run_id for run in plan.runs]
        finished = sum(states.state_of(directory) == states.DONE for directory in directories)
        record["questions_stated"] = stated(record["questions"], before, finished)
        write_json(path, record)


def draw_figures(jobs: Sequence[Job], tracker: Tracker | None) -> list[str]:
    """Wait until all finished runs have their figures; returns a warning for each that has none.

    The tracker has drawn most of them meanwhile. Without one they are drawn here.
    """
    runs = [(job.label, job.directory) for job in jobs if job.is_run]
    due = sum(figures_due(directory) for _, directory in runs)
    if due:
        print(f"drawing the figures of {due} run{'s' if due != 1 else ''}", flush=True)
    undrawn = tracker.draw_figures() if tracker else None
    if undrawn is None:
        undrawn = draw_all(runs)
    words = [f"warning: no figures of {found.run}: {found.reason}" for found in undrawn]
    if len(words) > _WARNINGS:
        more = f"warning: nor of {len(words) - _WARNINGS} more runs"
        words = [*words[:_WARNINGS], more]
    return words


def _run_jobs(options: Options, plan: Plan, jobs: Sequence[Job]) -> Ledger:
    finished = {job.id for job in jobs if states.state_of(job.directory) == states.DONE}
    runs = [job for job in jobs if job.is_run]
    costs = make_costs(plan, options.output_dir)
    slots = len(sweep_slots(options, plan))

    def snapshot(ledger: Ledger) -> Snapshot:
        return take_snapshot(runs, ledger, costs, slots)

    console = make_console(snapshot, live=sys.stdout.isatty() and options.launcher == "local")
    open_jobs = needed_jobs(jobs, finished)
    open_runs = sum(job.is_run for job in open_jobs)
    console.say(
        f"sweep {plan.sweep}, profile {plan.profile}: {len(runs)} runs, "
        f"{len(runs) - open_runs} done already, {slots} slot{'s' if slots != 1 else ''}, "
        f"in {options.output_dir}"
    )
    try:
        observer = _Learning(console, costs)
        executor = make_executor(options, plan, open_jobs, observer, costs.known(open_jobs))
        return executor.run()
    finally:
        console.close()


class _Learning:
    """Passes everything on to the console, and the time of finished jobs to the cost model."""

    def __init__(self, console: PlainConsole, costs: CostModel) -> None:
        self._console = console
        self._costs = costs
        self._began: dict[str, float] = {}
        self.requeued, self.tick = console.requeued, console.tick

    def started(self, job: Job, slot: Slot) -> None:
        self._began.setdefault(job.id, time.monotonic())
        self._console.started(job, slot)

    def ended(self, job: Job, outcome: Outcome) -> None:
        # A slot is also taken while the process starts up, which no status file can know.
        wall = time.monotonic() - self._began.get(job.id, time.monotonic())
        self._costs.learn_job(job, at_least=wall)
        self._console.ended(job, outcome)


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


def _close(
    options: Options, plan: Plan, jobs: Sequence[Job], tracker: Tracker | None
) -> tuple[list[str], bool]:
    """Figures, then the report, which shows them; what to say, and whether it was written."""
    warnings = draw_figures(jobs, tracker)
    words, reported = [], True
    if any(job.is_run and states.state_of(job.directory) == states.DONE for job in jobs):
        missing = draw_headline(options.output_dir, plan.sweep)
        if missing:
            warnings.append(f"warning: the headline's arms are not drawn side by side: {missing}")
        try:
            words = _report(options.output_dir, plan.sweep)
        except (ConfigError, DataError) as error:  # the records cannot be compared as they are
            words, reported = [f"no report: {error}"], False
        except Exception:  # the runs are safe; say what remains to be done instead of hiding them
            traceback.print_exc()
            again = f"sweep={plan.sweep} output_dir={options.output_dir}"
            words = [f"no report (see above); python analysis/report.py {again} tries again"]
            reported = False
    if tracker:
        uri = options.tracking_uri or f"sqlite:///{options.output_dir / 'mlflow.db'}"
        words += links(uri, tracker.experiment)
    return words + warnings, reported


def _has_log(job: Job) -> bool:
    return (job.directory / "log.txt").exists()


def _report(output_dir: Path, sweep: str) -> list[str]:
    from analysis.report import write_report

    summary = write_report(output_dir, sweep)
    return ["", summary.table, "", summary.answer, "", f"Report: {summary.path}"]


def git_commit() -> str | None:
    """The commit that runs; None outside a repository."""
    words = ["git", "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
