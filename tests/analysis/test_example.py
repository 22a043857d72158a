"""The recorded example: how it is made, and what the shipped one holds."""

import re
import tarfile

import numpy as np
import pytest

from analysis import example, record_example
from analysis.answer import answer
from analysis.records import learning_curves, load_records
from flow3r.errors import DataError
from flow3r.files import read_json, write_json

LARGEST = 3 * 2**20  # bytes


@pytest.fixture(scope="module")
def packed(store, tmp_path_factory, run_id):
    """A study with an unstarted run and a machine's traces, and its archive."""
    folder = tmp_path_factory.mktemp("study")
    recorded = store(seeds=(0, 1), scenes=6)
    recorded.write(folder)
    for name in ("status", "provenance"):
        path = folder / "runs" / run_id("formulations", "3d-sup", 0) / f"{name}.json"
        traces = {"host": "secret", "pid": 7, "platform": "Linux-6.1-secret-x86_64"}
        write_json(path, {**read_json(path), **traces})
    archive = folder / "example.tar.xz"
    assert record_example.main([f"from={folder}", f"to={archive}", "scenes=4"]) == 0
    return folder, archive


def test_the_first_scenes_are_kept_exactly(packed, tmp_path):
    folder, archive = packed
    assert example.unpack(tmp_path / "out", archive) == ["formulations"]
    whole, small = (load_records(f, "formulations") for f in (folder, tmp_path / "out"))
    for name, cube in small.cubes.items():
        assert cube.scenes == whole.cubes[name].scenes[:4]
        np.testing.assert_array_equal(cube.values, whole.cubes[name].values[:, :4])
    assert small.chance.equals(whole.chance)
    assert small.runs.equals(whole.runs)


def test_fewer_scenes_are_other_data(packed, tmp_path, run_id):
    _, archive = packed
    example.unpack(tmp_path, archive)
    run = run_id("formulations", "flow-factored", 1)
    evaluation = read_json(tmp_path / "runs" / run / "evaluation.json")["benchmarks"]["static"]
    assert evaluation["fingerprint"] == "data-static-first-4"
    values = [row["metrics"]["rra_15"] for row in evaluation["scenes"]]
    assert evaluation["summary"]["rra_15"] == pytest.approx(np.mean(values))


def test_curves_are_thinned_but_keep_their_validation(packed, tmp_path):
    folder, archive = packed
    example.unpack(tmp_path, archive)
    whole, small = (
        learning_curves(load_records(f, "formulations")).groupby("metric").size()
        for f in (folder, tmp_path)
    )
    assert small["validation/dynamic/rra_15"] == whole["validation/dynamic/rra_15"]
    assert small["train/loss"] < 0.3 * whole["train/loss"]


def test_nothing_of_the_machine_is_left(packed):
    with tarfile.open(packed[1]) as archive:
        texts = [archive.extractfile(entry).read().decode() for entry in archive]
    assert not any("secret" in text or '"pid"' in text for text in texts)


def test_the_same_study_gives_the_same_bytes(packed, tmp_path):
    folder, archive = packed
    record_example.record(folder, tmp_path / "again.tar.xz", 4)
    assert (tmp_path / "again.tar.xz").read_bytes() == archive.read_bytes()


def test_records_are_not_overwritten(packed, tmp_path):
    example.unpack(tmp_path, packed[1])
    with pytest.raises(DataError, match="holds records already"):
        example.unpack(tmp_path, packed[1])
    assert example.main([f"to={tmp_path}"]) == 2
    with pytest.raises(DataError, match="holds no sweep"):
        record_example.record(tmp_path / "nothing", tmp_path / "x.tar.xz", 4)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shipped")
    assert example.main([f"to={folder / 'example'}"]) == 0
    return folder / "example"


def test_the_shipped_example_is_small_and_clean(shipped):
    assert example.ARCHIVE.stat().st_size < LARGEST
    for path in shipped.rglob("*"):
        if path.is_file():
            assert path.suffix in (".json", ".jsonl"), path
            text = path.read_text()
            assert not re.search(r'"/|/tmp|/home|/root|/work', text), path
            for host in re.findall(r'"host":"([^"]*)"', text):
                assert host == "laptop"


@pytest.mark.parametrize("sweep", ["formulations", "scaling"])
def test_the_shipped_example_can_be_analysed(shipped, sweep):
    records = load_records(shipped, sweep)
    assert records.complete
    assert records.mixed == ()
    assert records.plan.profile == "laptop"
    assert len(records.plan.questions) > 3
    assert records.plan.asked_after == len(records.runs["run_id"].unique())
    assert {len(cube.scenes) for cube in records.cubes.values()} == {128}
    assert re.match(r"(Yes|No|Undecided)", answer(records))
