"""The cache of parsed runs: the same records, and never an outdated one."""

import os
import time

import numpy as np
import pytest

from analysis import record_cache, records
from analysis.records import load_records
from flow3r.files import read_json, write_json


@pytest.fixture
def eager(monkeypatch):
    """Cache small stores too, and files that were written a moment ago."""
    monkeypatch.setattr(record_cache, "WORTHWHILE", 1)
    monkeypatch.setattr(record_cache, "SETTLED_NS", 0)


@pytest.fixture
def parsed(monkeypatch):
    """The directories that are parsed from here on."""
    seen = []
    read = records.read_run
    monkeypatch.setattr(records, "read_run", lambda d, known: seen.append(d.name) or read(d, known))
    return seen


def cache_of(output_dir):
    return output_dir / "reports" / "formulations" / record_cache.NAME


def with_covariates(output_dir, run):
    path = output_dir / "runs" / run / "evaluation.json"
    evaluation = read_json(path)
    for benchmark in evaluation["benchmarks"].values():
        for i, row in enumerate(benchmark["scenes"]):
            row["covariates"] = {"covisibility": i / 10, "flow_length": None}
    write_json(path, evaluation)


def test_cached_records_are_the_same(store, tmp_path, run_id, eager, parsed):
    store(seeds=(0, 1), scenes=3).write(tmp_path)
    with_covariates(tmp_path, run_id("formulations", "3d-sup", 0))
    first = load_records(tmp_path, "formulations")
    assert len(parsed) == 12
    assert cache_of(tmp_path).is_file()
    second = load_records(tmp_path, "formulations")
    assert len(parsed) == 12  # nothing is parsed again
    assert first.runs.equals(second.runs)
    assert first.chance.equals(second.chance)
    assert first.covariates.equals(second.covariates)
    assert not first.covariates.empty
    for name, cube in first.cubes.items():
        other = second.cubes[name]
        assert (cube.runs, cube.scenes, cube.metrics) == (other.runs, other.scenes, other.metrics)
        np.testing.assert_array_equal(cube.values, other.values)


def test_a_changed_run_is_parsed_again(store, tmp_path, run_id, eager, parsed):
    store(seeds=(0, 1), scenes=3).write(tmp_path)
    load_records(tmp_path, "formulations")
    changed = run_id("formulations", "flow-factored", 1)
    path = tmp_path / "runs" / changed / "evaluation.json"
    evaluation = read_json(path)
    evaluation["benchmarks"]["static"]["scenes"][0]["metrics"]["rra_15"] = 12.25
    write_json(path, evaluation)
    del parsed[:]
    found = load_records(tmp_path, "formulations").matrix("flow-factored", "static", "rra_15")
    assert parsed == [changed]
    assert found.values[1, 0] == 12.25


def test_a_change_that_keeps_size_and_time_is_noticed(store, tmp_path, run_id, eager, parsed):
    """Written in place, of the same length, with the old modification time put back."""
    store(seeds=(0, 1), scenes=3).write(tmp_path)
    load_records(tmp_path, "formulations")
    changed = run_id("formulations", "3d-sup", 0)
    path = tmp_path / "runs" / changed / "status.json"
    before = path.stat()
    time.sleep(0.02)  # the change time is counted in ticks
    path.write_text(path.read_text().replace('"attempts": 1', '"attempts": 3'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    del parsed[:]
    runs = load_records(tmp_path, "formulations").runs
    assert parsed == [changed]
    assert runs.set_index("run_id").loc[changed, "attempts"] == 3


def test_a_run_that_ends_is_seen(store, tmp_path, run_id, eager):
    store(seeds=(0, 1), scenes=2).write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "3d-sup", 1) / "status.json"
    done = read_json(path)
    write_json(path, {**done, "state": "running"})
    assert not load_records(tmp_path, "formulations").complete
    write_json(path, done)
    assert load_records(tmp_path, "formulations").complete


def test_fresh_files_are_not_kept(store, tmp_path, monkeypatch, parsed):
    monkeypatch.setattr(record_cache, "WORTHWHILE", 1)
    store(seeds=(0,), scenes=2).write(tmp_path)
    for _ in range(2):
        load_records(tmp_path, "formulations")
    assert len(parsed) == 12


def test_small_stores_get_no_cache(store, tmp_path):
    load_records(store(seeds=(0,), scenes=2).write(tmp_path), "formulations")
    assert not cache_of(tmp_path).exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut short"])
def test_a_damaged_cache_is_rebuilt(store, tmp_path, eager, parsed, content):
    store(seeds=(0,), scenes=2).write(tmp_path)
    cache_of(tmp_path).write_bytes(content)
    load_records(tmp_path, "formulations")
    assert len(parsed) == 6
    load_records(tmp_path, "formulations")
    assert len(parsed) == 6


def test_another_schema_is_rebuilt(store, tmp_path, eager, parsed, monkeypatch):
    store(seeds=(0,), scenes=2).write(tmp_path)
    load_records(tmp_path, "formulations")
    monkeypatch.setattr(record_cache, "SCHEMA", -1)
    load_records(tmp_path, "formulations")
    assert len(parsed) == 12
