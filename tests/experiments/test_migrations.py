"""Specs of earlier schemas: migrated when read, found under their old ids, never renamed."""

import dataclasses
import json
import typing
from pathlib import Path

import pytest

from experiments.compose import compose
from experiments.found_runs import FoundRuns
from experiments.identity import run_id
from experiments.migrations import MIGRATIONS, SCHEMA, migrated
from experiments.rundir import RunDirectory
from experiments.spec import RunSpec
from flow3r.config import to_mapping
from flow3r.errors import DataError
from flow3r.files import write_json
from flow3r.teachers.dis import DisConfig
from flow3r.teachers.noisy import NoisyConfig

RECORDED = Path(__file__).parent / "recorded_spec_1.json"
"""The spec of a published run (flow-factored, seed 0, profile laptop) as it was recorded."""


def rename(spec):
    """Schema 0 had `speed` where schema 1 has `rate`."""
    return {"rate" if name == "speed" else name: value for name, value in spec.items()}


def halve(spec):
    """Schema 1 gave the rate per two steps."""
    return {**spec, "rate": spec["rate"] / 2}


STEPS = {0: rename, 1: halve}
OLD = {"schema": 0, "seed": 3, "speed": 1.0}
NEW = {"schema": 2, "seed": 3, "rate": 0.5}


def test_migrations_are_applied_one_after_another():
    assert migrated(OLD, 2, STEPS) == NEW
    assert migrated({"schema": 1, "seed": 3, "rate": 1.0}, 2, STEPS) == NEW
    assert migrated(NEW, 2, STEPS) == NEW
    assert OLD == {"schema": 0, "seed": 3, "speed": 1.0}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (3, r"schema=3 is newer than this code, which knows up to schema=2"),
        (-1, r"schema=-1 is no longer read; this code reads \[0, 1, 2\]"),
    ],
)
def test_a_schema_without_a_way_is_refused(schema, message):
    with pytest.raises(DataError, match=message):
        migrated({**NEW, "schema": schema}, 2, STEPS)


def test_a_run_of_an_earlier_schema_is_found_under_its_own_id(tmp_path):
    write_json(tmp_path / run_id(OLD) / "spec.json", {"spec": OLD})
    found = FoundRuns(tmp_path, 2, STEPS)
    assert found.run_id(NEW) == run_id(OLD) != run_id(NEW)
    other = {**NEW, "seed": 4}
    assert found.run_id(other) == run_id(other)


def test_a_run_of_the_present_schema_comes_before_an_earlier_one(tmp_path):
    for spec in (OLD, NEW):
        write_json(tmp_path / run_id(spec) / "spec.json", {"spec": spec})
    assert FoundRuns(tmp_path, 2, STEPS).run_id(NEW) == run_id(NEW)


def test_a_folder_with_a_newer_run_is_refused(tmp_path):
    write_json(tmp_path / "abc" / "spec.json", {"spec": NEW})
    with pytest.raises(DataError, match=r"abc/spec\.json: schema=2 is newer.*another output_dir"):
        FoundRuns(tmp_path, 1, STEPS)


def test_a_run_directory_gives_its_spec_in_the_present_schema(tmp_path, monkeypatch):
    content = {"kind": "run", "id": "abc", "spec": {"schema": SCHEMA + 1}, "runtime": {}}
    write_json(tmp_path / "spec.json", content)
    with pytest.raises(DataError, match=r"spec\.json: schema=\d+ is newer than this code"):
        RunDirectory(tmp_path).spec()
    monkeypatch.setattr("experiments.rundir.migrated", lambda spec: {**spec, "migrated": True})
    assert RunDirectory(tmp_path).spec()["spec"]["migrated"] is True
    write_json(tmp_path / "spec.json", {**content, "kind": "pretrain"})
    assert RunDirectory(tmp_path).spec()["spec"] == content["spec"]


def test_every_schema_since_the_first_published_one_has_a_migration():
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA))


def test_what_was_recorded_under_schema_1_is_still_the_run_of_today():
    """Fails where a default or a setting changed: experiments/migrations.py says what to do."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert run_id(recorded) == "4c0166bcfc7b"
    assert migrated(recorded) == compose(["profile=laptop", "formulation=flow-factored"]).spec


# Left out of a spec at these values: changed, they would give recorded ids another meaning.
LEFT_OUT = {
    "AugmentationConfig.appearance": None,
    "AugmentationConfig.sizes": None,
    "BatchConfig.pairs": {"per_clip": None, "gaps": None, "min_covisibility": 0.0},
    "DataConfig.recorded": None,
    "DataConfig.unlabelled_share": None,
    "DataConfig.unlabelled_sources": None,
    # A data set names its teacher, and those settings that are not the teacher's own.
    "noisy": {
        "smooth_px": 0.065,
        "motion_share": 0.0135,
        "spread": 1.0,
        "edge_factor": 2.5,
        "missed_share": 0.07,
        "invented_share": 0.11,
        "patch_px": 8,
        "seed": 0,
    },
    "dis": {
        "finest_scale": 0,
        "patch_size": 8,
        "patch_stride": 2,
        "gradient_steps": 32,
        "variational_iterations": 10,
        "direct_gap": 1,
        "chain_refinement": "variational",
        "relative_tolerance": 0.001,
        "absolute_tolerance": 0.5,
    },
}


def later_fields(cls):
    """`Class.field` -> default, of every field marked LATER below a config dataclass."""
    hints = typing.get_type_hints(cls)
    found = {}
    for entry in dataclasses.fields(cls):
        if entry.metadata.get("later"):
            found[f"{cls.__name__}.{entry.name}"] = entry.default
        for inner in dataclasses_in(hints[entry.name]):
            found |= later_fields(inner)
    return found


def dataclasses_in(hint):
    """The config dataclasses that a type names."""
    if dataclasses.is_dataclass(hint):
        return [hint]
    return [found for part in typing.get_args(hint) for found in dataclasses_in(part)]


def test_no_default_that_a_spec_leaves_out_has_changed():
    teachers = {"noisy": NoisyConfig(), "dis": DisConfig()}
    found = {
        name: to_mapping(default) for name, default in {**later_fields(RunSpec), **teachers}.items()
    }
    changed = {name: value for name, value in LEFT_OUT.items() if found.get(name) != value}
    assert not changed, (
        f"recorded specs leave out {changed}, and the defaults are others now, so the same id "
        "would mean another run: raise SCHEMA in experiments/migrations.py and let the migration "
        "write the old values into old specs"
    )
    assert set(found) == set(LEFT_OUT), "add the new field to LEFT_OUT"
