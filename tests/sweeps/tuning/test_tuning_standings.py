"""Where trials stand, and what is chosen: read from run directories, whatever happened to them."""

from __future__ import annotations

import math

from flow3r.files import read_json, write_text
from sweeps.tuning.effort import seconds_left
from sweeps.tuning.results import read_tuned, trials_record, write_tuned
from sweeps.tuning.standings import chosen, races

FACTORED = "flow-factored"


def race_of(stand, formulation=FACTORED):
    return next(r for r in races(stand.tuning, stand.output_dir) if r.formulation == formulation)


def open_at(stand, rung):
    return [standing.trial.number for standing in race_of(stand).open(rung)]


def test_nothing_has_happened_yet(stand):
    race = race_of(stand)
    assert race.fields == ((0, 1, 2),)
    assert open_at(stand, 0) == [0, 1, 2]
    assert chosen(stand.tuning, race) is None
    assert all(s.rungs == (None,) and s.score is None for s in race.standings)


def test_nobody_goes_on_before_all_have_reached_the_rung(stand):
    stand.reach_rung(FACTORED, 0, 5.0)
    stand.reach_rung(FACTORED, 1, 7.0)
    assert race_of(stand).fields == ((0, 1, 2),)
    assert open_at(stand, 0) == [2]
    stand.reach_rung(FACTORED, 2, 6.0)
    assert race_of(stand).fields == ((0, 1, 2), (0, 1))
    assert race_of(stand).has_dropped(2)
    assert open_at(stand, 1) == [0, 1]


def test_the_best_at_the_end_is_chosen(stand):
    stand.all_reach_rung({0: 5.0, 1: 6.0, 2: 7.0})
    stand.finish(FACTORED, 0, 6.5)
    assert chosen(stand.tuning, race_of(stand)) is None
    stand.finish(FACTORED, 2, 6.0)
    assert chosen(stand.tuning, race_of(stand)).trial.number == 0


def test_of_equals_the_default_is_chosen(stand):
    stand.all_reach_rung({0: 5.0, 1: 6.0, 2: 7.0})
    stand.finish(FACTORED, 0, 6.0)
    stand.finish(FACTORED, 2, 6.0)
    assert chosen(stand.tuning, race_of(stand)).trial.number == 0


def test_a_failed_candidate_holds_nobody_up(stand):
    stand.reach_rung(FACTORED, 0, 5.0)
    stand.fail(FACTORED, 1)
    stand.reach_rung(FACTORED, 2, 1.0)
    assert race_of(stand).fields == ((0, 1, 2), (0, 2))
    assert open_at(stand, 0) == [1]  # it is tried again by the next command
    stand.finish(FACTORED, 0, 5.0)
    stand.fail(FACTORED, 2)
    assert chosen(stand.tuning, race_of(stand)).trial.number == 0


def test_a_score_that_is_not_finite_is_no_score(stand):
    stand.reach_rung(FACTORED, 0, 5.0)
    stand.reach_rung(FACTORED, 1, math.nan)
    stand.reach_rung(FACTORED, 2, 1.0)
    assert race_of(stand).fields == ((0, 1, 2), (0, 2))
    record = trials_record(stand.tuning, races(stand.tuning, stand.output_dir), None)
    assert record["formulations"][FACTORED]["trials"][1]["rungs"] == [None]


def test_nothing_is_chosen_where_nobody_came_to_the_end(stand):
    for number in range(3):
        stand.fail(FACTORED, number)
    assert race_of(stand).fields == ((0, 1, 2), ())
    assert chosen(stand.tuning, race_of(stand)) is None


def test_the_mean_over_seeds_needs_all_of_them(stand, two_seeds):
    first, second = two_seeds.of(FACTORED)[0].run_ids
    assert first != second
    stand.tuning = two_seeds
    stand.reach_rung_of(first, 4.0)
    assert race_of(stand).standings[0].rungs == (None,)
    assert race_of(stand).standings[0].missing(0) == [second]
    stand.reach_rung_of(second, 7.0)
    assert race_of(stand).standings[0].rungs == (5.5,)


def all_done(stand):
    stand.all_reach_rung({0: 5.0, 1: 6.0, 2: 7.0})
    for formulation in stand.tuning.config.formulations:
        stand.finish(formulation, 0, 6.0)
        stand.finish(formulation, 2, 8.0)


def test_the_chosen_values_are_written_and_read_again(stand):
    found = races(stand.tuning, stand.output_dir)
    assert write_tuned(stand.tuning, found, "abc", stand.output_dir) is None
    all_done(stand)
    found = races(stand.tuning, stand.output_dir)
    path = write_tuned(stand.tuning, found, "abc", stand.output_dir)
    tuned = read_tuned(stand.output_dir, "smoke")
    assert tuned.values[FACTORED] == stand.tuning.of(FACTORED)[2].values
    assert set(tuned.values) == set(stand.tuning.config.formulations)
    assert tuned.seeds == stand.tuning.config.seeds
    assert tuned.git_commit == "abc"
    before = path.read_bytes()
    write_tuned(stand.tuning, found, "abc", stand.output_dir)
    assert path.read_bytes() == before


def test_what_is_left_to_do(stand):
    """3 candidates to step 5 and 2 to step 10, four formulations: 25 steps each."""

    class Costs:
        def of(self, job):
            return type("Cost", (), {"seconds": 40.0})

    def left(slots=1):
        jobs = plan_runs(stand)
        return seconds_left(
            stand.tuning, races(stand.tuning, stand.output_dir), jobs, Costs(), slots
        )

    assert left() == 4 * 2.5 * 40.0
    assert left(slots=2) == 4 * 2.5 * 20.0
    stand.all_reach_rung({0: 5.0, 1: 6.0, 2: 7.0})
    assert left() == 4 * 1.0 * 30.0  # measured meanwhile: 3 seconds a step
    all_done(stand)
    assert left() == 0.0


def plan_runs(stand):
    from sweeps.jobs import plan_jobs

    return [job for job in plan_jobs(stand.tuning.plan, stand.output_dir) if job.is_run]


def test_a_line_cut_short_by_a_kill_is_left_out(stand):
    stand.reach_rung(FACTORED, 0, 5.0)
    path = stand.run_of(FACTORED, 0) / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    write_text(path, "".join(lines[:-1]) + lines[-1][:20])
    assert race_of(stand).standings[0].rungs == (None,)
    assert read_json(stand.run_of(FACTORED, 0) / "status.json")["state"] == "interrupted"
