"""From the command line to a plan: load the sweep, compose its runs, record the plan."""

from __future__ import annotations

from typing import Any

from experiments import compose, stages
from experiments.found_runs import FoundRuns
from sweeps.options import Options, require_writable
from sweeps.planning.expansion import Experiments, Plan, expand
from sweeps.planning.plan_file import held_plan, recorded_entries, write_plan
from sweeps.planning.selection import chosen_runs


def make_plan(options: Options) -> Plan:
    """Compose and expand the sweep; what was planned before in this folder stays part of it."""
    return _expand(options, _load(options))


def make_recorded_plan(options: Options) -> Plan:
    """The plan, written to plan.json. Mistakes are told before anything is written."""
    sweep = _load(options)
    words = (options.output_dir, sweep["name"], options.profile)
    recorded = recorded_entries(*words)
    plan = _expand(options, sweep)
    chosen_runs(plan, options.only)
    require_writable(options.output_dir)
    with held_plan(options.output_dir, plan.sweep):
        if recorded_entries(*words) != recorded:  # another command came first
            plan = _expand(options, sweep)
        write_plan(plan, options.output_dir)
    return plan


def _load(options: Options) -> dict[str, Any]:
    sweep = compose.load_sweep(options.sweep, options.profile)
    if not options.tuned:
        return sweep
    from sweeps.tuning.tuned import with_chosen_values

    return with_chosen_values(sweep, options)


def _expand(options: Options, sweep: dict[str, Any]) -> Plan:
    found = FoundRuns(options.output_dir / "runs")
    experiments = Experiments(compose.compose, found.run_id, stages.required_stages)
    recorded = recorded_entries(options.output_dir, sweep["name"], options.profile)
    return expand(sweep, options.profile, options.overrides, options.seeds, experiments, recorded)
