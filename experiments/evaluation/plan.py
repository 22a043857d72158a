"""One evaluation: what decides its numbers, and the names of its folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from experiments.assembly import choose_device
from experiments.evaluation.sources import Source
from experiments.identity import run_id
from flow3r.config import from_mapping, to_mapping
from flow3r.data.datasets.registry import open_dataset
from flow3r.data.scenes import Dataset
from flow3r.evaluation.protocols.protocol import Protocol
from flow3r.inference.precision import PRECISIONS, choose_precision

KIND = "evaluation"


@dataclass(frozen=True)
class PlannedEvaluation:
    """`spec` goes into spec.json; `id` is also the folder in `<output_dir>/evaluations`."""

    id: str
    spec: dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """A spec, parsed."""

    protocol: Protocol
    dataset: Dataset
    changed: dict[str, Any]
    source: dict[str, Any]
    precision: str

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> Evaluation:
        """Raises DataError where the data are not there any more."""
        protocol = from_mapping(Protocol, spec["protocol"], "protocol")
        dataset = open_benchmark_data(protocol, Path(spec["dataset"]["folder"]))
        return cls(protocol, dataset, spec["changed"], spec["source"], spec["precision"])

    @property
    def weights(self) -> Path:
        """The file of weights, or the folder of predictions."""
        return Path(self.source["weights"])

    def predictions_folder(self, output_dir: Path, data: str) -> Path:
        """Where the predictions lie: a folder for each model, precision and input.

        A protocol that only scores otherwise shares it; another input has another folder.
        `data` is the dataset's fingerprint.
        """
        if self.source["kind"] == "predictions":
            return self.weights
        name = f"{self.protocol.dataset}-{run_id(self.fingerprint(data))}"
        return output_dir / "predictions" / name

    def fingerprint(self, data: str) -> dict[str, str]:
        """What exported predictions belong to."""
        return {
            "model": self.source["content"],
            "input": self.protocol.input_fingerprint(data),
            "precision": self.precision,
        }


def plan_evaluation(
    source: Source,
    protocol: Protocol,
    dataset: Dataset,
    changed: Mapping[str, Any],
    precision: str,
) -> PlannedEvaluation:
    """An evaluation by its content: the same id wherever weights and data lie.

    `changed` are the settings in which `protocol` differs from its config file.
    """
    data = dataset.fingerprint()
    spec = {
        "benchmark": protocol.name,
        "protocol": to_mapping(protocol),
        "changed": dict(changed),
        "dataset": {"folder": str(Path(dataset.path).resolve()), "content": data},
        "source": source.record(),
        "precision": precision,
    }
    identity = {
        "protocol": protocol.fingerprint(data),
        "source": source.content,
        "precision": precision,
    }
    return PlannedEvaluation(f"{protocol.name}-{run_id(identity)}", spec)


def fitted(
    protocol: Protocol, changed: Mapping[str, Any], source: Source
) -> tuple[Protocol, dict[str, Any]]:
    """The protocol with sides that the model's patches divide, and what was changed for it."""
    size, patch = protocol.size, source.patch_size
    if patch is None or size.multiple % patch == 0:
        return protocol, dict(changed)
    # Sides rounded down could fall below one patch; the width itself need not be a multiple.
    fitting = replace(size, multiple=patch, width=max(size.width, patch))
    return replace(protocol, size=fitting), {**changed, "size.multiple": patch}


def precision_name(source: Source, wanted: str, device: str) -> str:
    """What `wanted` (auto, float32, ...) means on the device; 'none' where no model runs."""
    if source.kind == "predictions":
        return "none"
    chosen = choose_precision(wanted, choose_device(device))
    return next(name for name, dtype in PRECISIONS.items() if dtype == chosen)


def dtype_of(precision: str) -> torch.dtype:
    """The dtype of a precision's name."""
    return PRECISIONS[precision]


def open_benchmark_data(protocol: Protocol, path: Path) -> Dataset:
    """The dataset of a protocol at `path`. Raises DataError where it is not there."""
    return open_dataset(protocol.dataset, path, protocol.settings)
