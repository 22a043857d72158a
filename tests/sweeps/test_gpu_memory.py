"""How many runs share a GPU, on invented GPUs and invented finished runs."""

from __future__ import annotations

import pytest

from flow3r.files import write_json
from sweeps.executors import resources
from sweeps.executors.gpu_memory import measured_peaks, runs_per_gpu
from sweeps.executors.resources import local_slots

GIB = 2**30


@pytest.mark.parametrize(
    ("peaks", "totals", "expected"),
    [
        ([10 * GIB], [80 * GIB], 6),  # 13 GiB each with room and context
        ([10 * GIB, 2 * GIB], [80 * GIB], 6),  # the largest decides
        ([10 * GIB], [80 * GIB, 24 * GIB], 1),  # the smallest GPU decides
        ([70 * GIB], [80 * GIB], 1),
        ([10 * GIB, None], [80 * GIB], 1),  # one kind was never measured
        ([], [80 * GIB], 1),
        ([10 * GIB], [], 1),  # nobody says how large the GPU is
    ],
)
def test_runs_per_gpu(peaks, totals, expected):
    assert runs_per_gpu(peaks, totals) == expected


def finished(folder, name, peak, device="NVIDIA", state="done", **spec):
    status = {"state": state, "host": "h", "pid": 1}
    write_json(folder / "runs" / name / "status.json", status)
    write_json(folder / "runs" / name / "spec.json", {"spec": run_spec(**spec)})
    write_json(
        folder / "runs" / name / "provenance.json", {"device": device, "peak_memory_bytes": peak}
    )


def run_spec(formulation="a", seed=0, pixels=32):
    data = {"labelled": {"world": {"height": pixels}}}
    return {"formulation": {"name": formulation}, "seed": seed, "data": data}


def test_peaks_come_from_finished_gpu_runs_of_the_same_kind(tmp_path):
    finished(tmp_path, "one", 5)
    finished(tmp_path, "two", 7, seed=1)
    finished(tmp_path, "on-cpu", 90, device="cpu")
    finished(tmp_path, "half", 91, state="interrupted")
    finished(tmp_path, "larger", 92, pixels=64)
    asked = [run_spec(seed=9), run_spec("b"), run_spec(pixels=64)]
    assert measured_peaks(asked, tmp_path) == [7, None, 92]


@pytest.mark.parametrize(
    ("requested", "device", "per_gpu", "expected"),
    [
        (None, "auto", 1, ["0", "1"]),
        (None, "auto", 3, ["0", "1", "0", "1", "0", "1"]),
        (4, "auto", 3, ["0", "1", "0", "1"]),  # slots=N has the last word
        (None, "cuda:1", 2, ["1", "1"]),
    ],
)
def test_slots_of_a_shared_gpu(monkeypatch, requested, device, per_gpu, expected):
    monkeypatch.setattr(resources, "visible_gpus", lambda: ["0", "1"])
    monkeypatch.setattr(resources, "available_cores", lambda: 8)
    slots = local_slots(requested, device, per_gpu=per_gpu)
    assert [slot.gpu for slot in slots] == expected
    assert {slot.threads for slot in slots} == {8 // len(expected)}
