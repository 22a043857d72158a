"""The runs of the shipped sweeps keep their ids: their results are published under them.

A setting that is added must be left out of a spec at its default (`flow3r.config.LATER`).
"""

import pytest

from experiments.compose import compose, load_sweep
from experiments.identity import run_id
from experiments.stages import required_stages
from sweeps.planning.expansion import Experiments, expand

RUNS = {
    "formulations": {
        "3d-sup": "6933af143ed3",
        "flow-projective": "69b8124c2c8b",
        "flow-tracking": "e53aa7569a76",
        "flow-factored": "4c0166bcfc7b",
        "flow-labelled": "817d5eca6b26",
        "3d-sup++": "8e4a55ad2c2d",
        "initialisation": "60a42b21cff2",
    },
    "scaling": {
        "3d-sup": "6933af143ed3",
        "3d-sup++": "8e4a55ad2c2d",
        "flow-factored-0": "817d5eca6b26",
        "flow-factored-16": "891638427677",
        "flow-factored-64": "dfb38a3945bc",
        "flow-factored-256": "66a08af60892",
        "flow-factored-1024": "8c4fbfa39951",
        "flow-factored-4096": "4c0166bcfc7b",
    },
    "teachers": {"noisy": "b53f3000aeaa", "noisy-strong": "b7afd1ece6f2", "dis": "9eb931442c4f"},
    "backbones": {
        "pi3-flow-factored": "4c0166bcfc7b",
        "vggt-3d-sup": "be1c20aa4450",
        "vggt-flow-labelled": "63d20fc5f8fc",
        "vggt-flow-factored": "26c753766631",
    },
}
"""Of seed 0, profile laptop."""
STAGES = {
    "chance-3faaee26a111",
    "chance-b3a3bafd9afe",
    "dataset-06a309547411",
    "dataset-17d8b1091274",
    "dataset-488dbac85516",
    "dataset-4cb11a6e047d",
    "dataset-a0d733bd2999",
    "dataset-a72a0b1082c0",
    "dataset-ea0504749b50",
    "dataset-f559bdb074c8",
    "pretrain-02ce12c7ac33",
}
"""Of the sweep formulations."""


@pytest.mark.parametrize("sweep", list(RUNS))
def test_published_runs_keep_their_ids(sweep):
    tools = Experiments(compose=compose, run_id=run_id, required_stages=required_stages)
    plan = expand(load_sweep(sweep, "laptop"), "laptop", [], [0], tools)
    found = {entry.arm: entry.run_id for entry in plan.entries}
    assert {arm: found.get(arm) for arm in RUNS[sweep]} == RUNS[sweep], (
        "published runs would be made anew: experiments/migrations.py says which change of a "
        "config needs what"
    )
    if sweep == "formulations":
        assert {stage.name for stage in plan.stages} == STAGES
