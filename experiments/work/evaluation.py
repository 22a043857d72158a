"""Kind `evaluation`: one model on one benchmark; predictions are made once, then scored."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from experiments.assembly import choose_device
from experiments.evaluation import memory
from experiments.evaluation.export import export_predictions, missing_predictions
from experiments.evaluation.plan import Evaluation, dtype_of
from experiments.evaluation.scoring import score_sequences
from experiments.evaluation.sequences import (
    LargestInput,
    Listed,
    largest_input,
    list_sequences,
)
from experiments.evaluation.sources import load_model
from experiments.progress import Report, showing_progress
from experiments.provenance import environment, git_state
from experiments.rundir import HEARTBEAT_SECONDS, RunDirectory
from flow3r.errors import DataError
from flow3r.evaluation.prediction_files import absent_sequences
from flow3r.evaluation.protocols.summary import summarise_scenes
from flow3r.files import write_json


def work(directory: RunDirectory, content: dict, stop: Callable[[], bool]) -> bool:
    """Predict what is not predicted yet, score everything; False when stopped in between."""
    spec, runtime = content["spec"], content["runtime"]
    evaluation = Evaluation.parse(spec)
    data = evaluation.dataset.fingerprint()
    if data != spec["dataset"]["content"]:
        raise DataError(
            f"{evaluation.dataset.path} has changed since this evaluation was planned; "
            "start it again, it becomes another one"
        )
    with showing_progress() as report:
        job = _Job(directory, evaluation, data, runtime, _Tracked(directory, report), stop)
        return job.run(spec)


@dataclass
class _Tracked:
    """Reports to the screen and to status.json."""

    directory: RunDirectory
    screen: Report
    began: float = field(default_factory=time.monotonic)
    written: float = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        self.screen(what, done, total)
        now = time.monotonic()
        if done >= total or now - self.written >= HEARTBEAT_SECONDS:
            self.written = now
            self.directory.update(stage=what, step=done, total_steps=total)


@dataclass
class _Job:
    directory: RunDirectory
    evaluation: Evaluation
    data: str
    runtime: dict[str, Any]
    report: Report
    stop: Callable[[], bool]
    seconds: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    """Bytes; of scoring, the largest of this process and those that it started."""
    told: list[str] = field(default_factory=list)

    def run(self, spec: dict[str, Any]) -> bool:
        protocol, dataset = self.evaluation.protocol, self.evaluation.dataset
        folder = self.evaluation.predictions_folder(self.directory.output_dir, self.data)
        listed = list_sequences(
            protocol, dataset, lambda done, total: self.report("listing", done, total)
        )
        largest = largest_input(protocol, dataset, listed)
        self._require(memory.scoring_needs(largest))
        if not self._predictions(folder, listed, largest):
            return False
        records = self._scores(spec, folder, listed, largest)
        if records is None:
            return False
        self._write(spec, folder, listed, records)
        return True

    def _predictions(self, folder: Path, listed: list[Listed], largest: LargestInput) -> bool:
        """Whether all of them are there."""
        if self.evaluation.source["kind"] == "predictions":
            absent = absent_sequences(folder, [one.scene for one in listed])
            if absent:
                raise DataError(
                    f"predictions={folder}: {len(absent)} of {len(listed)} sequences of "
                    f"{self.evaluation.protocol.name} are missing, the first is {absent[0]!r}"
                )
            return True
        fingerprint = self.evaluation.fingerprint(self.data)
        missing = missing_predictions(folder, listed, fingerprint)
        if not missing:
            self._tell(f"predictions: all {len(listed)} sequences are in {folder}")
            return True
        self._tell(f"predictions: {len(missing)} of {len(listed)} sequences to do, into {folder}")
        device = choose_device(self.runtime["device"])
        began = time.monotonic()
        precision = self.evaluation.precision
        model = load_model(self.evaluation.weights, device, dtype_of(precision))
        needs = memory.prediction_needs(model, largest, precision)
        self._require(needs)
        self.seconds["load"] = round(time.monotonic() - began, 3)

        def check(frames: int, height: int, width: int) -> None:
            found = LargestInput(largest.frames, frames, height, width, largest.compared)
            if frames * height * width > largest.shown * largest.height * largest.width:
                self._require(memory.prediction_needs(model, found, precision))

        began = time.monotonic()
        whole = export_predictions(
            model, self.evaluation, missing, folder, fingerprint, self.stop, check,
            lambda done, total: self.report("predicting", done, total),
        )  # fmt: skip
        if whole:
            self._took("predict", began, missing, device)
        return whole

    def _scores(
        self, spec: dict[str, Any], folder: Path, listed: list[Listed], largest: LargestInput
    ) -> list[dict[str, Any]] | None:
        cores = self.runtime["threads"]
        needs, limit = memory.scoring_needs(largest), self.runtime["memory"]
        processes = memory.scoring_processes(needs, cores, len(listed), limit)
        self._tell(f"scoring {len(listed)} sequences in {processes} of {cores} processes")
        began = time.monotonic()
        records = score_sequences(
            spec, listed, folder, processes, cores, self.stop,
            lambda done, total: self.report("scoring", done, total),
        )  # fmt: skip
        if records is not None:
            self._took("score", began, listed, torch.device("cpu"))
        return records

    def _took(self, what: str, began: float, done: list[Listed], device: torch.device) -> None:
        frames, seconds = sum(map(len, done)), time.monotonic() - began
        self.seconds |= {what: round(seconds, 3), f"{what}_per_frame": round(seconds / frames, 4)}
        peak = self.peaks[what] = memory.peak_on(device)
        self._tell(
            f"{what}: {frames} frames in {seconds:.1f} s, {seconds / frames:.3f} s each; "
            f"peak memory {memory.in_gib(peak)}"
        )

    def _require(self, needs: memory.Needs) -> None:
        """State what is needed, then refuse it if it is too much."""
        limit, free = self.runtime["memory"], memory.free_bytes()
        allowed = "" if limit is None else f"; memory={limit / memory.GIB:g} GiB"
        available = "" if free is None else f"; {memory.in_gib(free)} are free"
        self._tell(f"memory for {needs.text()}{allowed}{available}")
        memory.require_memory(needs, limit)

    def _tell(self, text: str) -> None:
        self.told.append(text)
        print(text, flush=True)

    def _write(
        self,
        spec: dict[str, Any],
        folder: Path,
        listed: list[Listed],
        records: list[dict[str, Any]],
    ) -> None:
        protocol = self.evaluation.protocol
        source = spec["source"]
        write_json(
            self.directory.path / "evaluation.json",
            {
                "schema": 1,
                "id": self.directory.path.name,
                "benchmark": protocol.name,
                "protocol": spec["protocol"],
                "changed": spec["changed"],
                "fingerprint": protocol.fingerprint(self.data),
                "dataset": {"name": protocol.dataset, **spec["dataset"]},
                "source": {**source, "path": source["weights"]},
                "precision": spec["precision"],
                "predictions": str(folder),
                "frames": sum(map(len, listed)),
                "scenes": records,
                "summary": summarise_scenes(protocol, records),
                "seconds": self.seconds,
                "peak_bytes": self.peaks,
            },
        )
        device = str(choose_device(self.runtime["device"]))
        write_json(
            self.directory.path / "provenance.json",
            {
                **git_state(),
                **environment(),
                "device": device,
                "threads": torch.get_num_threads(),
                "told": self.told,
            },
        )
