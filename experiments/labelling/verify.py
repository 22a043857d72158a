"""Read every byte of the stores, and take out what is damaged, so that it is made again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from experiments.labelling.job import LabelJob


def repair(job: LabelJob, rows: NDArray[np.int64]) -> Iterator[str]:
    """Repair both stores; a line for everything that was damaged.

    Records of other manifests are taken out as well, and named by their key.
    """
    keys, _ = job.keys(rows)
    for store in (job.stores.frames, job.stores.labels):
        for damage in store.repair():
            names = [_name(job, rows, keys, key) for key in damage.keys] or ["no record"]
            where = f"{damage.path}, bytes {damage.offset} to {damage.end}"
            yield from (f"{where}: {name}" for name in names)


def _name(job: LabelJob, rows: NDArray[np.int64], keys: NDArray[np.uint8], key: bytes) -> str:
    """Whose record it is, in words."""
    found = np.argwhere((keys == np.frombuffer(key, np.uint8)).all(axis=-1))
    if not len(found):
        return f"record {key.hex()}, of none of these clips"
    place, column = found[0].tolist()
    clip = job.manifest.clip(int(rows[place])).name
    if column == 0:
        return f"frames of {clip}"
    source, target = job.pairs[column - 1]
    return f"label of {clip}, frame {source} to {target}"
