"""One invocation of `sweep=benchmarks`: plan, execute, write the tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flow3r.files import write_json
from flow3r.locks import locked
from sweeps import states
from sweeps.benchmarks.plan import (
    NAME,
    BenchmarkPlan,
    plan_benchmarks,
    plan_jobs,
    plan_record,
    read_settings,
)
from sweeps.console import Console, make_console
from sweeps.console.choice import jobs_echo
from sweeps.console.progress import Snapshot, Watch, take_snapshot
from sweeps.executors.inline import inline_executor
from sweeps.executors.ledger import Ledger
from sweeps.executors.resources import Slot, available_cores, local_slots
from sweeps.executors.slots import LocalExecutor, Observer, Policy
from sweeps.jobs import Job
from sweeps.options import Options, require_writable
from sweeps.planning.plan_file import git_commit
from sweeps.planning.preview import table_lines
from sweeps.session import EXIT_STOPPED, NO_REPORT, exit_code_of, failures
from sweeps.timekeeping.cost import CostModel


def preview_sweep(options: Options) -> str:
    """The text of a dry run; writes nothing."""
    plan = plan_benchmarks(read_settings(options.overrides))
    rows = []
    for cell in plan.cells:
        if cell.planned is None:
            rows.append((cell.model, cell.benchmark, "", cell.missing or ""))
            continue
        state = states.state_of(options.output_dir / "evaluations" / cell.planned.id)
        rows.append((cell.model, cell.benchmark, cell.planned.id, state))
    done = sum(row[-1] == states.DONE for row in rows)
    absent = sum(cell.planned is None for cell in plan.cells)
    return "\n".join(
        [
            f"sweep {NAME}, output_dir {options.output_dir}",
            "",
            *table_lines(("model", "benchmark", "id", "state"), rows),
            "",
            f"{len(rows)} evaluations: {done} done, {len(rows) - done - absent} to do, "
            f"{absent} without data or model, whose places stay empty",
        ]
    )


def run_sweep(options: Options) -> int:
    """Run what is there and write the tables; returns the exit code."""
    plan = plan_benchmarks(read_settings(options.overrides))
    require_writable(options.output_dir)
    _record(plan, options.output_dir)
    jobs = plan_jobs(plan, options.output_dir)
    if plan.settings.rescore:
        _reopen(jobs)
    slots, costs, work = _slots(options, plan), CostModel({}), {}

    def snapshot(ledger: Ledger) -> Snapshot:
        return take_snapshot(jobs, ledger, costs, len(slots), work)

    console = make_console(options, snapshot)
    try:
        _announce(console, jobs, slots, options.output_dir)
        ledger = _run_jobs(options, plan, jobs, slots, Watch(console, costs, work))
    finally:
        console.close()
    code = exit_code_of(ledger)
    words = failures(ledger)
    words += [f"not run: {c.model} on {c.benchmark}: {c.missing}" for c in plan.cells if c.missing]
    if code == EXIT_STOPPED:
        console.finished(code, [*words, "stopped; the same command continues"])
        return code
    if not options.report:
        console.finished(code, [*words, NO_REPORT])
        return code
    from analysis.benchmarks import write_benchmarks  # pandas: not before it is needed

    written = write_benchmarks(options.output_dir)
    text = ["", written.text, f"Report: {written.path}"]
    console.finished(code, [*text, *words], written.path)
    return code


def _record(plan: BenchmarkPlan, output_dir: Path) -> None:
    path = output_dir / "reports" / NAME / "plan.json"
    with locked(path.parent / ".plan.lock"):
        write_json(path, plan_record(plan, git_commit()))


def _reopen(jobs: Sequence[Job]) -> None:
    """Have finished evaluations scored again; their predictions stay."""
    for job in jobs:
        if states.state_of(job.directory) == states.DONE:
            states.record_outcome(job.directory, states.INTERRUPTED, "to be scored again")


def _announce(
    console: Console, jobs: Sequence[Job], slots: Sequence[Slot], output_dir: Path
) -> None:
    done = sum(states.state_of(job.directory) == states.DONE for job in jobs)
    console.planned(
        f"sweep {NAME}: {len(jobs)} evaluations, {done} done already, {len(slots)} "
        f"slot{'s' if len(slots) != 1 else ''}, in {output_dir}",
        {
            "sweep": NAME,
            "output_dir": str(output_dir),
            "slots": len(slots),
            "runs": len(jobs),
            "done": done,
            "jobs": [job.id for job in jobs],
        },
    )


def _run_jobs(
    options: Options,
    plan: BenchmarkPlan,
    jobs: list[Job],
    slots: list[Slot],
    observer: Observer,
) -> Ledger:
    make = inline_executor if jobs_echo(options) else LocalExecutor
    policy = Policy(retries=options.retries)
    return make(jobs, slots, observer, plan.settings.runtime, policy).run()


def _slots(options: Options, plan: BenchmarkPlan) -> list[Slot]:
    """One per GPU; without a GPU one, unless more are asked for: an evaluation uses all cores."""
    count = 1 if options.launcher == "inline" else options.slots
    device = plan.settings.device
    found = local_slots(count, device)
    if any(slot.gpu is not None for slot in found):
        return found
    return local_slots(count or 1, device, max(1, available_cores() // (count or 1)))
