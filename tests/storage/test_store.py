"""Records in, records out: once each, by several handles, and layouts that are refused."""

import json
import multiprocessing
import pickle

import numpy as np
import pytest

from flow3r.errors import ConfigError, DataError
from flow3r.storage.records import MissingRecordError, content_key
from flow3r.storage.store import RecordStore


def record(number):
    """A key and a payload of its own length; some payloads hold what begins a record."""
    payload = np.random.default_rng(number).bytes(number % 50) + b"\x89F3REC\r\n" * (number % 3)
    return content_key({"number": number}), payload


def keys_of(numbers):
    return np.frombuffer(b"".join(record(n)[0] for n in numbers), np.uint8).reshape(-1, 32)


@pytest.fixture
def store(tmp_path):
    return RecordStore.create(tmp_path / "store", "test", buckets=4)


def test_what_is_put_comes_back(store):
    assert store.put(record(n) for n in range(40)) == 40
    assert all(store.get(record(n)[0]) == record(n)[1] for n in range(40))
    assert len(store) == 40
    assert list(store.damage()) == []


def test_a_record_is_kept_once_and_the_first_one_stays(store):
    key, payload = record(1)
    assert store.put([(key, payload), (key, b"other")]) == 1
    before = store.size()
    assert store.put([(key, b"a third")]) == 0
    assert store.get(key) == payload
    assert store.size() == before


def test_many_keys_are_asked_for_at_once(store):
    store.put(record(n) for n in range(0, 3000, 2))
    keys = keys_of(range(3000))
    for handle in (store, RecordStore.open(store.path, "test")):
        np.testing.assert_array_equal(handle.has(keys), np.arange(3000) % 2 == 0)
    digests = store.digests(keys[::2])
    assert len(np.unique(digests, axis=0)) == 1500
    with pytest.raises(MissingRecordError, match=keys[1].tobytes().hex()):
        store.digests(keys[:2])


def test_equal_digests_are_equal_records(tmp_path):
    stores = [RecordStore.create(tmp_path / name, "test") for name in "abc"]
    for store, payload in zip(stores, [b"same", b"same", b"different"]):
        store.put([(record(0)[0], payload)])
    a, b, c = (store.digests(keys_of([0])).tobytes() for store in stores)
    assert a == b != c


def test_an_open_handle_sees_what_others_write(store):
    reader = RecordStore.open(store.path, "test")
    assert not reader.has(keys_of([5])).any()
    store.put([record(5)])
    assert reader.get(record(5)[0]) == record(5)[1]


def test_keys_with_equal_beginnings_are_told_apart(store):
    keys = [b"\x00" * 8 + bytes([n]) * 24 for n in range(200)]
    many = [(key, key[::-1]) for key in keys]
    store.put(many)
    store.put(record(n) for n in range(6000))  # more than stay in the dictionary
    fresh = RecordStore.open(store.path, "test")
    assert all(fresh.get(key) == payload for key, payload in many)
    wanted = np.frombuffer(b"".join([*keys, b"\x00" * 8 + b"\xff" * 24]), np.uint8).reshape(-1, 32)
    assert fresh.has(wanted).tolist() == [True] * 200 + [False]


def test_a_missing_record_is_named(store):
    with pytest.raises(MissingRecordError, match=record(0)[0].hex()):
        store.get(record(0)[0])


def test_a_store_of_another_kind_or_version_is_refused(store):
    with pytest.raises(DataError, match="holds 'test', not 'frames'"):
        RecordStore.create(store.path, "frames")
    with pytest.raises(DataError, match="no store at"):
        RecordStore.open(store.path / "nowhere", "test")
    description = store.path / "store.json"
    description.write_text(json.dumps({**json.loads(description.read_text()), "version": 2}))
    with pytest.raises(DataError, match=r"version 2.*reads 1"):
        RecordStore.open(store.path, "test")


def test_the_number_of_buckets_is_that_of_the_first_writer(store):
    assert RecordStore.create(store.path, "test", buckets=9)._buckets[3:] != []
    assert len(RecordStore.create(store.path, "test", buckets=9)._buckets) == 4
    with pytest.raises(ConfigError, match="buckets=0"):
        RecordStore.create(store.path / "other", "test", buckets=0)


def test_a_copy_in_another_process_reads(store):
    store.put(record(n) for n in range(20))
    store.get(record(3)[0])
    assert pickle.loads(pickle.dumps(store)).get(record(3)[0]) == record(3)[1]
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.map(store.get, [record(n)[0] for n in range(20)]) == [
                record(n)[1] for n in range(20)
            ]
