"""Hooks between a training loop and its run directory: metrics, heartbeat, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from experiments.rundir import HEARTBEAT_SECONDS, RunDirectory
from experiments.system_metrics import SystemMetrics
from flow3r.training.checkpoint import TrainingState, load, save
from flow3r.training.loop import Hooks

CHECKPOINT = "checkpoint/last.pt"

Validate = Callable[[Callable[[], None]], Mapping[str, float]]
"""Metrics of the model as it is now; calls its argument as long as it is at work."""


def last_checkpoint(directory: RunDirectory) -> TrainingState | None:
    """The state that training continues from, if there is any."""
    path = directory.path / CHECKPOINT
    return load(path) if path.exists() else None


def pause_reached(runtime: dict, step: int) -> bool:
    """Whether a run that has done `step` steps is to stop here (`runtime.pause_at`)."""
    pause_at = runtime.get("pause_at")
    return pause_at is not None and step >= pause_at


def silent_hooks(
    runtime: dict, stop: Callable[[], bool], validate: Validate, validation_every: int
) -> Hooks:
    """The hooks of a process that trains along with the one that records.

    It validates too: where the model is in parts, no process can predict anything by itself.
    """
    return Hooks(
        log=lambda step, stage, metrics: None,
        after_step=lambda step, stage: None,
        validate=lambda step, stage: validate(lambda: None),
        save=lambda state: None,
        save_due=lambda: False,
        should_stop=stop,
        log_every=runtime["log_every"],
        validate_every=validation_every,
    )


class Recorder:
    """Writes what the loop reports; owns the times of heartbeats and checkpoints."""

    def __init__(
        self,
        directory: RunDirectory,
        runtime: dict,
        stop: Callable[[], bool],
        validate: Validate,
        validation_every: int,
        pausing: bool = False,
    ):
        """`pausing`: the runtime's `pause_at` holds for this training."""
        self.directory, self.runtime, self.stop = directory, runtime, stop
        self.validate, self.validation_every = validate, validation_every
        self._beat = self._saved = self._mark = time.monotonic()
        self._train_seconds = self._validate_seconds = 0.0
        self._pausing, self._step = pausing, 0

    def resume(self, total_steps: int) -> TrainingState | None:
        """The state to continue from, if an earlier attempt left any."""
        self._train_seconds = self.directory.status["train_seconds"]
        self._validate_seconds = self.directory.status["validate_seconds"]
        state = last_checkpoint(self.directory)
        self.directory.truncate_metrics(state.step if state else -1)
        self.directory.update(total_steps=total_steps, step=state.step if state else 0)
        self._mark = time.monotonic()
        self._system = SystemMetrics(self.directory.path, self.directory.status["started"])
        return state

    def hooks(self) -> Hooks:
        """What the loop calls."""
        return Hooks(
            log=self._log,
            after_step=self._after_step,
            validate=self._validate,
            save=self._save,
            save_due=self._save_due,
            should_stop=self._should_stop,
            log_every=self.runtime["log_every"],
            validate_every=self.validation_every,
        )

    def record(self, step: int, stage: str, metrics: Mapping[str, float]) -> None:
        """One line of metrics.jsonl; non-finite values are flagged, not written as numbers."""
        finite = {k: v for k, v in metrics.items() if math.isfinite(v)}
        line = {"step": step, "stage": stage, "time": time.time(), "metrics": finite}
        if len(finite) < len(metrics):
            line["nonfinite"] = {k: str(v) for k, v in metrics.items() if not math.isfinite(v)}
        self.directory.append_metrics(line)

    def _log(self, step: int, stage: str, metrics: dict[str, float]) -> None:
        self.record(step, stage, metrics)
        print(f"step {step} {stage} loss {metrics['train/loss']:.4f}", flush=True)

    def _after_step(self, step: int, stage: str) -> None:
        self._step = step
        if time.monotonic() - self._beat > HEARTBEAT_SECONDS:
            self._beat = time.monotonic()
            self.directory.update(step=step, stage=stage, **self._times())
            self._system.sample()

    def _validate(self, step: int, stage: str) -> None:
        self._pause_clock()
        began = time.monotonic()
        self.record(step, stage, self.validate(self.directory.alive))
        self._mark = time.monotonic()
        self._validate_seconds += self._mark - began

    def _should_stop(self) -> bool:
        return self.stop() or (self._pausing and pause_reached(self.runtime, self._step))

    def _save_due(self) -> bool:
        return time.monotonic() - self._saved > self.runtime["checkpoint_seconds"]

    def _save(self, state: TrainingState) -> None:
        save(state, self.directory.path / CHECKPOINT)
        self._saved = time.monotonic()
        self.directory.update(step=state.step, **self._times())

    def _times(self) -> dict[str, float]:
        return {"train_seconds": self._clock(), "validate_seconds": self._validate_seconds}

    def _pause_clock(self) -> None:
        """Validation does not count as training time."""
        self._train_seconds = self._clock()

    def _clock(self) -> float:
        return self._train_seconds + time.monotonic() - self._mark
