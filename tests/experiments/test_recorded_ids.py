"""The ids of all arms of the shipped sweeps (seed 0) are those under which runs were recorded."""

import json
from pathlib import Path

import pytest

from experiments.compose import compose, load_sweep
from experiments.identity import run_id

RECORDED = json.loads((Path(__file__).parent / "recorded_ids.json").read_text())
"""profile/sweep/arm -> run id, before videos had stages of their own."""


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["smoke", "laptop", "gpu"])
def test_no_recorded_run_is_renamed(profile):
    recorded = {name: found for name, found in RECORDED.items() if name.startswith(f"{profile}/")}
    assert recorded
    for name, expected in recorded.items():
        _, sweep, arm = name.split("/")
        overrides = load_sweep(sweep, profile)["arms"][arm]["overrides"]
        found = run_id(compose([f"profile={profile}", *overrides, "seed=0"]).spec)
        assert found == expected, (
            f"{name} would be made anew: experiments/migrations.py says which change of a config "
            "needs what"
        )
