"""What must and what must not change a run's id."""

import pytest

from experiments.compose import compose
from experiments.identity import canonical, run_id
from experiments.stages import required_stages


def identity(*overrides: str) -> str:
    return run_id(compose(["profile=smoke", *overrides]).spec)


@pytest.mark.parametrize(
    "override",
    [
        "output_dir=/elsewhere",
        "runtime.device=cpu",
        "runtime.threads=4",
        "runtime.log_every=3",
        "runtime.checkpoint_seconds=1",
        "cost.run=5",
        "runtime.store=/elsewhere",
        "runtime.label_workers=4",
        "runtime.pause_at=3",
        "formulation=flow-factored",
    ],
)
def test_surroundings_do_not_change_the_id(override):
    assert identity(override) == identity()


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "formulation=flow-tracking",
        "data.unlabelled_clips=3",
        "data.labelled_clips=1",
        "loss.flow_weight=1",
        "training.stages.1.lr=0.1",
        "training.precision=bfloat16",
        "batch.labelled=4",
        "teacher=noisy",
        "size.test_clips=9",
        "steps.matching=5",
        "model.encoder.depth=2",
    ],
)
def test_science_changes_the_id(override):
    assert identity(override) != identity()


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
