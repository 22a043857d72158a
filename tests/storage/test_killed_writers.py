"""kill -9 of four writers at random moments: nothing is lost, torn or there twice."""

import multiprocessing
import random
import time
from itertools import count

import numpy as np
import pytest

from flow3r.storage.bucket import START
from flow3r.storage.records import HEADER_BYTES, content_key
from flow3r.storage.store import RecordStore

RECORDS = 4000
WRITERS = 4


def record(number):
    size = 1 + int(np.random.default_rng(number).integers(60_000))
    return content_key(number), bytes([number % 251]) * size


def write(path, writer):
    """Every writer writes everything, in an order of its own, so that they meet."""
    store = RecordStore.create(path, "test", buckets=8)
    for number in np.random.default_rng(writer).permutation(RECORDS):
        store.put([record(int(number))])


def assert_whole(path, complete):
    store = RecordStore.open(path, "test")
    assert list(store.damage()) == []
    keys = np.frombuffer(b"".join(record(n)[0] for n in range(RECORDS)), np.uint8).reshape(-1, 32)
    there = store.has(keys)
    assert len(store) == there.sum()  # so each is there once
    for number in np.flatnonzero(there)[::97]:
        key, payload = record(int(number))
        assert store.get(key) == payload
    if complete:
        assert there.all()
        size = sum(HEADER_BYTES + len(record(n)[1]) for n in range(RECORDS))
        assert sum(p.stat().st_size - START for p in path.glob("*.data")) == size


def test_twenty_kills_of_four_writers(tmp_path):
    path = tmp_path / "store"
    context, moments = multiprocessing.get_context("fork"), random.Random(0)
    for attempt in count():
        writers = [context.Process(target=write, args=(path, w)) for w in range(WRITERS)]
        for writer in writers:
            writer.start()
        if attempt == 20:
            break
        time.sleep(moments.uniform(0.005, 0.06))
        for writer in writers:
            writer.kill()
        for writer in writers:
            writer.join()
        if attempt % 5 == 4:
            assert_whole(path, complete=False)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert_whole(path, complete=True)


@pytest.mark.parametrize("seed", range(3))
def test_one_writer_dies_while_the_others_go_on(tmp_path, seed):
    path = tmp_path / "store"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write, args=(path, w)) for w in range(2)]
    for writer in writers:
        writer.start()
    time.sleep(random.Random(seed).uniform(0.02, 0.2))
    writers[0].kill()
    writers[1].join()
    assert writers[1].exitcode == 0
    assert_whole(path, complete=True)
