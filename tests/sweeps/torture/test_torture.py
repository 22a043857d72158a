"""A real sweep, its scheduler, tracker and runs killed at random moments and started again each
time, ends as an undisturbed one does.

CI kills a few times. The whole torture, 24 runs killed 30 times by turns with one scheduler and
with two at once, takes about half an hour on two cores:

    TORTURE_KILLS=30 python -m pytest -m slow tests/sweeps/torture/test_torture.py
"""

from __future__ import annotations

import os

import pytest

WHOLE = "TORTURE_KILLS" in os.environ
KILLS = int(os.environ.get("TORTURE_KILLS", "3"))
ARMS = {
    "3d-sup": ["formulation=3d-sup"],
    "flow-factored": ["formulation=flow-factored"],
    "flow-projective": ["formulation=flow-projective"],
    "flow-tracking": ["formulation=flow-tracking"],
    "flow-labelled": ["formulation=flow-factored", "data.unlabelled_clips=0"],
    "3d-sup++": ["formulation=3d-sup", "data.labelled_clips=${size.more_labelled_clips}"],
}
SWEEP = {
    "question": "Does a sweep that is killed again and again end as an undisturbed one?",
    "seeds": [0, 1, 2, 3] if WHOLE else [0],
    "baseline": "3d-sup",
    "headline": {
        "arm": "flow-factored",
        "baseline": "3d-sup",
        "benchmark": "dynamic",
        "metrics": ["rra_15"],
    },
    "scaling": None,
    "arms": {
        name: {"overrides": words} for name, words in list(ARMS.items())[: None if WHOLE else 2]
    },
}


@pytest.fixture(scope="module")
def sweep(kit, tmp_path_factory):
    """A function: output folder -> a function that starts the sweep there."""
    checkout = kit("checkout").Checkout(tmp_path_factory.mktemp("torture") / "checkout")
    checkout.add_sweep("torture", SWEEP)

    def starter(output, slots):
        words = ("sweep=torture", f"slots={slots}", f"output_dir={output}", *kit("checkout").SMALL)
        return lambda: checkout.start(output.with_suffix(".out"), *words)

    return starter


@pytest.fixture(scope="module")
def calm(sweep, tmp_path_factory):
    """The output folder of the sweep that nobody disturbs."""
    output = tmp_path_factory.mktemp("calm") / "outputs"
    assert sweep(output, slots=2)().wait() == 0, output.with_suffix(".out").read_text()
    return output


@pytest.mark.slow
@pytest.mark.timeout(600 + 300 * KILLS)
@pytest.mark.parametrize("schedulers", [1, 2] if WHOLE else [2])
def test_a_sweep_that_is_killed_at_random_moments_equals_a_calm_one(
    kit, sweep, calm, tmp_path, schedulers
):
    monkey, evidence = kit("monkey"), kit("evidence")
    output = tmp_path / "outputs"
    start = sweep(output, slots=2 // schedulers)
    states = evidence.states_of(calm)
    said = output.with_suffix(".out")
    tormentor = monkey.Monkey(start, output, len(states), seed=schedulers, said=said)
    with monkey.nothing_left(output), monkey.Watch(output) as watch:
        tormentor.torment(KILLS, schedulers)
        ended = evidence.states_of(output)
        assert start().wait() == 0  # nothing is left to do but to bring MLflow up to date
    print(f"killed {dict(tormentor.killed)}; exit codes {dict(tormentor.exit_codes)}")

    assert sum(tormentor.killed.values()) == KILLS
    assert {name: state for name, (state, _) in ended.items()} == dict.fromkeys(states, "done")
    assert watch.overlaps == []
    assert evidence.states_of(output) == ended
    for run, (steps,) in evidence.step_logs(calm).items():
        require_whole(evidence.step_logs(output)[run], steps)
    assert evidence.records(output) == evidence.records(calm)
    assert evidence.report(output, "torture") == evidence.report(calm, "torture")
    assert evidence.tracked(output, "torture") == evidence.tracked(calm, "torture")


def require_whole(attempts, expected):
    """Every attempt goes on where a checkpoint was, and leaves no step out."""
    done = 0  # of the expected steps, in their order
    for steps in attempts:
        start = expected.index(steps[0]) if steps else done
        assert start <= done, attempts
        assert steps == expected[start : start + len(steps)], attempts
        done = max(done, start + len(steps))
    assert done == len(expected), attempts
