"""What must and what must not change a run's id."""

from dataclasses import fields

import pytest

from experiments.compose import compose
from experiments.identity import canonical, run_id
from experiments.spec import RunSpec
from experiments.stages import required_stages


def identity(*overrides: str) -> str:
    return run_id(compose(["profile=smoke", *overrides]).spec)


SURROUNDINGS = {
    "paths": ["output_dir=/elsewhere", "runtime.store=/elsewhere"],
    "device": ["runtime.device=cpu", "runtime.threads=4", "runtime.processes=2"],
    "recording": ["runtime.log_every=3", "runtime.checkpoint_seconds=1", "runtime.pause_at=2"],
    "speed": ["runtime.activation_checkpointing=true", "runtime.workers=2"],
    "labelling": ["runtime.label_workers=4"],
    "cost": ["cost.run=5"],
    "the default, written out": ["formulation=flow-factored", "seed=0"],
}
"""Nothing that could change a number."""
SCIENCE = {
    "seed": ["seed=1"],
    "formulation": ["formulation=flow-tracking", "formulation=flow-projective"],
    "model": ["model.encoder.depth=2", "model=vggt-smoke"],
    "initialisation": ["initialisation.pretrain.seed=5", "initialisation.pretrain.batch.replay=12"],
    "data": [
        "data.unlabelled_clips=3",
        "data.labelled_clips=1",
        "data.test.static.seed=77",
        "data.labelled.count=9",
        "size.test_clips=9",
        "teacher=noisy",
    ],
    "batch": ["batch.labelled=4", "batch.replay=1"],
    "loss": ["loss.flow_weight=1"],
    "training": [
        "training.stages.1.lr=0.1",
        "training.precision=bfloat16",
        "training.optimiser.clip_norm=0.5",
        "steps.matching=5",
    ],
    "evaluation": ["evaluation.validation_every=3", "evaluation.batch=2"],
}
"""Group of a run spec -> overrides of it."""


def cases(groups):
    return [pytest.param(o, id=f"{group}: {o}") for group, found in groups.items() for o in found]


@pytest.mark.parametrize("override", cases(SURROUNDINGS))
def test_surroundings_do_not_change_the_id(override):
    assert identity(override) == identity()


@pytest.mark.parametrize("override", cases(SCIENCE))
def test_science_changes_the_id(override):
    assert identity(override) != identity()


def test_every_group_of_a_spec_is_in_the_table():
    assert set(SCIENCE) == {entry.name for entry in fields(RunSpec)} - {"schema"}


def test_the_schema_is_part_of_the_id():
    spec = compose(["profile=smoke"]).spec
    assert run_id({**spec, "schema": spec["schema"] + 1}) != run_id(spec)


def test_videos_are_identified_by_content_not_by_folder():
    first = {"videos": {"folder": "/a", "content": "1"}}
    assert run_id(first) == run_id({"videos": {"folder": "/b", "content": "1"}})
    assert run_id(first) != run_id({"videos": {"folder": "/a", "content": "2"}})


def test_weights_are_identified_by_content_not_by_path():
    first = {"initialisation": {"weights": "/a", "content": "1"}}
    assert run_id(first) == run_id({"initialisation": {"weights": "/b", "content": "1"}})
    assert run_id(first) != run_id({"initialisation": {"weights": "/a", "content": "2"}})


def test_a_learned_teacher_is_identified_by_its_weights_not_by_where_it_runs(tmp_path):
    for name, content in (("a.pth", b"1"), ("b.pth", b"1"), ("c.pth", b"2")):
        (tmp_path / name).write_bytes(content)

    def raft(name, *more):
        return identity("teacher=raft", f"teacher.settings.weights={tmp_path / name}", *more)

    first = raft("a.pth")
    assert first == raft("b.pth")
    assert first == raft("a.pth", "+teacher.settings.device=cuda", "+teacher.settings.batch=9")
    assert first != raft("c.pth")
    assert first != raft("a.pth", "+teacher.settings.updates=20")


def test_the_id_does_not_depend_on_the_order_of_keys():
    assert canonical({"b": 1, "a": [1, {"d": 2, "c": 3}]}) == '{"a":[1,{"c":3,"d":2}],"b":1}'
    assert run_id({"a": 1, "b": 2}) == run_id({"b": 2, "a": 1})


def test_arms_and_seeds_share_their_stages():
    arms = [
        compose(["profile=smoke", f"formulation={f}", f"seed={s}"]).spec
        for f, s in [("3d-sup", 0), ("flow-factored", 0), ("flow-factored", 1)]
    ]
    ids = [{stage.id for stage in required_stages(spec)} for spec in arms]
    assert ids[0] < ids[1]
    assert ids[1] == ids[2]
    assert {i.split("-")[0] for i in ids[1]} == {"dataset", "pretrain", "chance"}


def test_a_changed_test_set_leaves_training_stages_alone():
    before = {s.id for s in required_stages(compose(["profile=smoke"]).spec)}
    after = {s.id for s in required_stages(compose(["profile=smoke", "size.test_clips=9"]).spec)}
    changed = {i.split("-")[0] for i in after - before}
    assert changed == {"dataset", "chance"}
    assert len(after - before) == 4


def test_stages_come_after_what_they_depend_on():
    seen = set()
    for stage in required_stages(compose(["profile=smoke"]).spec):
        assert set(stage.depends_on) <= seen
        seen.add(stage.id)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("smoke", {"3d-sup": "a73b73a88dfd", "flow-factored": "0737bdb0e500"}),
        ("laptop", {"3d-sup": "6933af143ed3", "flow-factored": "4c0166bcfc7b"}),
    ],
)
def test_the_ids_of_recorded_runs_stay(profile, expected):
    """A setting that was added later must not rename what was run without it."""
    for formulation, name in expected.items():
        unlabelled = ["data.unlabelled_clips=0"] if formulation == "3d-sup" else []
        spec = compose([f"profile={profile}", f"formulation={formulation}", *unlabelled]).spec
        assert run_id(spec) == name
