"""Samples of the machine: what they hold, how often they are taken, and what a kill leaves."""

from __future__ import annotations

import importlib.machinery
import json
import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from experiments import system_metrics
from experiments.rundir import now
from experiments.system_metrics import FILE, SystemMetrics


def samples(folder):
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_a_sample_agrees_with_the_machine(tmp_path):
    SystemMetrics(tmp_path, now()).sample()
    (sample,) = samples(tmp_path)
    found = sample["metrics"]
    own = psutil.Process().memory_info().rss / 1e6
    assert found["system/process_memory_megabytes"] == pytest.approx(own, rel=0.5)
    total = psutil.virtual_memory().total / 1e6
    assert own < found["system/system_memory_usage_megabytes"] < total
    assert 0 <= found["system/cpu_utilization_percentage"] <= 100
    assert 0 < found["system/disk_usage_percentage"] <= 100


def test_a_busy_process_is_seen_to_be_busy(tmp_path, monkeypatch):
    monkeypatch.setattr(system_metrics, "SAMPLE_SECONDS", 0.0)
    metrics = SystemMetrics(tmp_path, now())
    metrics.sample()
    before = sum(psutil.Process().cpu_times()[:2])
    while sum(psutil.Process().cpu_times()[:2]) < before + 0.1:
        pass
    metrics.sample()
    assert samples(tmp_path)[1]["metrics"]["system/process_cpu_percentage"] > 1


def test_samples_are_rare(tmp_path):
    metrics = SystemMetrics(tmp_path, now())
    for _ in range(3):
        metrics.sample()
    assert len(samples(tmp_path)) == 1


def test_steps_are_seconds_since_the_first_start_also_in_a_resumed_run(tmp_path):
    SystemMetrics(tmp_path, "2026-01-01T00:00:00+00:00").sample()
    (sample,) = samples(tmp_path)
    assert sample["step"] == pytest.approx(sample["time"] - 1767225600, abs=1)


def test_a_line_cut_by_a_kill_is_dropped(tmp_path):
    whole = json.dumps({"step": 1, "time": 1.0, "metrics": {}}) + "\n"
    (tmp_path / FILE).write_text(whole + whole[:9])
    SystemMetrics(tmp_path, now()).sample()
    assert [sample["step"] for sample in samples(tmp_path)] == [1, 0]


def test_without_psutil_nothing_is_sampled_and_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(system_metrics, "find_spec", lambda name: None)
    SystemMetrics(tmp_path, now()).sample()
    assert not (tmp_path / FILE).exists()


class _Nvml(SimpleNamespace):
    """Two GPUs of 80 GB; the second is a part of one, which has no readings."""

    NVMLError = type("NVMLError", (Exception,), {})

    def nvmlInit(self): ...  # noqa: N802 - the names of NVML

    def nvmlDeviceGetHandleByUUID(self, identity):  # noqa: N802
        if identity != b"GPU-aaaa":
            raise self.NVMLError
        return identity

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        return SimpleNamespace(used=20_000_000_000, total=80_000_000_000)

    def nvmlDeviceGetUtilizationRates(self, handle):  # noqa: N802
        return SimpleNamespace(gpu=97)

    def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802
        return 350_500


def test_gpus_are_those_that_the_run_may_use(tmp_path, monkeypatch):
    nvml = _Nvml(__spec__=importlib.machinery.ModuleSpec("pynvml", None))
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    identities = [SimpleNamespace(uuid="aaaa"), SimpleNamespace(uuid="bbbb")]
    monkeypatch.setattr(torch.cuda, "get_device_properties", identities.__getitem__)
    SystemMetrics(tmp_path, now()).sample()
    gpus = {k: v for k, v in samples(tmp_path)[0]["metrics"].items() if "gpu" in k}
    assert gpus == {
        "system/gpu_0_memory_usage_megabytes": 20_000,
        "system/gpu_0_memory_usage_percentage": 25,
        "system/gpu_0_utilization_percentage": 97,
        "system/gpu_0_power_usage_watts": 350.5,
    }
