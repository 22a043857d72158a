"""Flipped bytes, torn ends and lost indexes: found, named, and put right."""

import shutil

import numpy as np
import pytest

from flow3r.storage import bucket
from flow3r.storage.index import ENTRY
from flow3r.storage.records import HEADER_BYTES, DamagedRecordError, StoreError, content_key
from flow3r.storage.store import RecordStore

COUNT = 12
RECORDS = [
    (content_key(n), np.random.default_rng(n).bytes(30) + b"\x89F3REC\r\n") for n in range(COUNT)
]
LENGTH = HEADER_BYTES + 38


@pytest.fixture
def full(tmp_path):
    """One bucket with all records."""
    store = RecordStore.create(tmp_path / "store", "test", buckets=1)
    for item in RECORDS:
        store.put([item])
    return store


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x40
    path.write_bytes(content)


def reopened(store):
    return RecordStore.open(store.path, "test")


def assert_complete(store):
    store = reopened(store)
    assert list(store.damage()) == []
    assert len(store) == COUNT
    assert all(store.get(key) == payload for key, payload in RECORDS)
    assert (store.path / "0.data").stat().st_size == 16 + COUNT * LENGTH


@pytest.mark.parametrize("within", range(0, LENGTH, 3))
@pytest.mark.parametrize("number", [0, 5, COUNT - 1])
def test_a_flipped_byte_is_named_and_that_record_made_again(full, number, within):
    flip(full.path / "0.data", 16 + number * LENGTH + within)
    key = RECORDS[number][0]
    with pytest.raises(DamagedRecordError, match=key.hex()):
        reopened(full).get(key)
    [damage] = reopened(full).damage()
    assert damage.keys == (key,)
    assert key.hex() in str(damage)
    assert (damage.offset, damage.end) == (16 + number * LENGTH, 16 + (number + 1) * LENGTH)
    store = reopened(full)
    assert store.repair() == [damage]
    assert store.put(RECORDS) == 1
    assert_complete(store)


def test_several_damaged_records_are_all_named(full):
    for number in (2, 3, 7):
        flip(full.path / "0.data", 16 + number * LENGTH + 9)
    found = reopened(full).repair()
    assert [d.keys for d in found] == [(RECORDS[2][0], RECORDS[3][0]), (RECORDS[7][0],)]
    assert reopened(full).put(RECORDS) == 3
    assert_complete(full)


@pytest.mark.parametrize("offset", [0, 7, 8, 15])
def test_a_flipped_byte_before_the_first_record_loses_nothing(full, offset):
    flip(full.path / "0.data", offset)
    assert all(reopened(full).get(key) == payload for key, payload in RECORDS)
    assert len(reopened(full).repair()) == 1
    assert_complete(full)


@pytest.mark.parametrize("offset", [3, 12, *range(16, 16 + 3 * ENTRY.itemsize, 5)])
def test_a_damaged_index_is_made_anew(full, offset):
    flip(full.path / "0.index", offset)
    assert all(reopened(full).get(key) == payload for key, payload in RECORDS)
    [damage] = reopened(full).damage()
    assert damage.path.name == "0.index"
    assert reopened(full).put(RECORDS) == 0
    assert_complete(full)


def test_a_lost_index_is_made_anew(full):
    (full.path / "0.index").unlink()
    assert reopened(full).get(RECORDS[4][0]) == RECORDS[4][1]
    assert reopened(full).put([(content_key("new"), b"x")]) == 1
    assert len(reopened(full)) == COUNT + 1


def test_a_damaged_header_without_an_index_costs_that_record_only(full):
    (full.path / "0.index").unlink()
    flip(full.path / "0.data", 16 + 4 * LENGTH + 42)  # the length
    store = reopened(full)
    assert store.get(RECORDS[5][0]) == RECORDS[5][1]
    assert store.has(np.frombuffer(RECORDS[4][0], np.uint8)[None]).tolist() == [False]
    store.repair()
    assert store.put(RECORDS) == 1
    assert_complete(store)


@pytest.mark.parametrize("left", range(0, LENGTH, 7))
def test_the_torn_end_of_a_killed_writer_is_cut_off(full, left):
    data, index = full.path / "0.data", full.path / "0.index"
    data.write_bytes(data.read_bytes()[: 16 + (COUNT - 1) * LENGTH + left])
    index.write_bytes(index.read_bytes()[: -ENTRY.itemsize])
    store = reopened(full)
    assert len(store) == COUNT - 1
    assert list(store.damage()) == []
    assert store.put(RECORDS) == 1
    assert_complete(store)


@pytest.mark.parametrize("cut", [1, ENTRY.itemsize, 3 * ENTRY.itemsize])
def test_records_that_the_index_lacks_are_not_written_twice(full, cut):
    index = full.path / "0.index"
    index.write_bytes(index.read_bytes()[:-cut])
    assert reopened(full).put(RECORDS) == 0
    assert_complete(full)


def test_an_index_ahead_of_the_data_is_not_believed(full):
    data = full.path / "0.data"
    data.write_bytes(data.read_bytes()[: -LENGTH - 5])  # a power failure lost what was last
    assert len(reopened(full)) == COUNT - 2
    assert reopened(full).put(RECORDS) == 2
    assert_complete(full)


def test_a_kill_between_the_files_of_a_repair_loses_nothing(full):
    before = (full.path / "0.index").read_bytes()
    flip(full.path / "0.data", 16 + 5 * LENGTH + 70)
    full.repair()
    (full.path / "0.index").write_bytes(before)  # of the generation before
    (full.path / ".0.data.left").write_bytes(b"half")
    assert reopened(full).get(RECORDS[6][0]) == RECORDS[6][1]
    assert reopened(full).put(RECORDS) == 1
    assert_complete(full)


def test_open_handles_read_on_through_a_repair(full):
    reader = reopened(full)
    assert reader.get(RECORDS[0][0]) == RECORDS[0][1]
    flip(full.path / "0.data", 16 + 70)
    assert len(full.repair()) == 1
    full.put(RECORDS)
    assert all(reader.get(key) == payload for key, payload in RECORDS)


def test_a_full_disk_is_a_message_and_leaves_the_store_whole(full, monkeypatch):
    def write_some(file, data):
        file.write(data[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bucket, "_write_all", write_some)
        with pytest.raises(StoreError, match="No space left"):
            full.put([(content_key("new"), b"x" * 50)])
    assert full.put([(content_key("new"), b"x" * 50)]) == 1
    assert len(reopened(full)) == COUNT + 1
    assert list(reopened(full).damage()) == []


def test_a_store_can_be_read_where_nothing_can_be_written(full, tmp_path):
    copy = shutil.copytree(full.path, tmp_path / "copy")
    (copy / "0.lock").unlink()
    (copy / "0.index").unlink()
    copy.chmod(0o500)
    try:
        store = RecordStore.open(copy, "test")
        assert all(store.get(key) == payload for key, payload in RECORDS)
        assert not (copy / "0.index").exists()
    finally:
        copy.chmod(0o700)
