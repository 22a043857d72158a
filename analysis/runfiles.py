"""The JSON files of one run directory, read into facts and scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.scores import Layout, Scored, scored_benchmark
from flow3r.errors import DataError

STATUS, PROVENANCE, SPEC, EVALUATION = FILES = (
    "status.json", "provenance.json", "spec.json", "evaluation.json",
)  # fmt: skip
BATCH_PARTS = ("replay", "labelled", "flexible")  # of a run's spec: the clips of one step
SUBSET_SIZES = ("labelled_clips", "unlabelled_clips")  # how much of the data; not which data


@dataclass(frozen=True)
class RunFiles:
    """facts: one flat mapping, ready for JSON; scored: a benchmark each, empty unless finished."""

    facts: Mapping[str, Any]
    scored: tuple[Scored, ...]


def read_run(directory: Path, known: dict[Layout, Layout]) -> RunFiles:
    """Read a run directory, started or not. DataError names the damaged file.

    `known` collects the layouts of the benchmarks met so far.
    """
    status = _optional_json(directory / STATUS)
    provenance = _optional_json(directory / PROVENANCE)
    content = _optional_json(directory / SPEC)
    finished = status.get("state") == "done" and (directory / EVALUATION).is_file()
    evaluated_as, scored = None, ()
    if finished:
        evaluated_as, scored = _evaluation(directory / EVALUATION, known)
    spec = content.get("spec") or {}
    facts = {
        **_status_facts(status),
        "finished": finished,
        **_provenance_facts(provenance),
        **_start(spec.get("initialisation") or {}),
        **clip_counts(spec),
        "data": _data_identities(provenance.get("data_fingerprints") or {}, spec.get("data") or {}),
        "spec_id": content.get("id"),
        "spec_seed": spec.get("seed"),
        "evaluated_as": evaluated_as,
    }
    return RunFiles(facts, scored)


def read_object(path: Path) -> Mapping[str, Any]:
    """A JSON object; DataError names the file where it is damaged or something else."""
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: damaged JSON ({error})") from None
    if not isinstance(value, Mapping):
        raise DataError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def _optional_json(path: Path) -> Mapping[str, Any]:
    return read_object(path) if path.is_file() else {}


def _evaluation(path: Path, known: dict[Layout, Layout]) -> tuple[str | None, tuple[Scored, ...]]:
    evaluation = read_object(path)
    benchmarks = evaluation.get("benchmarks")
    if not isinstance(benchmarks, Mapping) or not benchmarks:
        raise DataError(f"{path}: holds no benchmarks")
    try:
        scored = [scored_benchmark(name, raw, known) for name, raw in benchmarks.items()]
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise DataError(f"{path}: not a valid evaluation ({what})") from None
    return evaluation.get("run_id"), tuple(scored)


def _status_facts(status: Mapping[str, Any]) -> dict[str, Any]:
    names = ("reason", "step", "total_steps", "train_seconds", "seconds")
    return {
        "state": status.get("state", "pending"),
        "attempts": status.get("attempts", 0),
        **{name: status.get(name) for name in names},
    }


def _provenance_facts(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Floating-point operations and energy stay None unless somebody recorded them."""
    parameters = provenance.get("parameters")
    names = ("peak_memory_bytes", "train_flops", "energy_joules", "git_commit", "git_dirty",
             "device")  # fmt: skip
    return {
        "parameters": sum(parameters.values()) if parameters else None,
        **{name: provenance.get(name) for name in names},
        "torch": (provenance.get("packages") or {}).get("torch"),
    }


def _start(initialisation: Mapping[str, Any]) -> dict[str, str | None]:
    """Where the initial weights came from, and which flow heads were among them."""
    kind = initialisation.get("kind")
    if kind != "pretrain":
        return {"initialisation": kind, "pretrained_heads": ""}
    heads = (initialisation.get("pretrain") or {}).get("formulations") or []
    return {"initialisation": kind, "pretrained_heads": " ".join(head["name"] for head in heads)}


def clip_counts(spec: Mapping[str, Any]) -> dict[str, float | None]:
    """Clips of one step, and clips seen while the whole model trains, by kind; None if unknown.

    The stage that trains the flow head alone is left out: `3d-sup` has none. As in
    `flow3r/data/mixing.py`: an arm without unlabelled clips fills the flexible places with
    labelled ones, of the source domain by the share `filler_replay_share`.
    """
    batch, data = spec.get("batch") or {}, spec.get("data") or {}
    per_step = sum(batch[part] for part in BATCH_PARTS if part in batch) or None
    unknown = dict.fromkeys(("clips_seen", "labelled_seen", "unlabelled_seen", "label_epochs"))
    stages = (spec.get("training") or {}).get("stages")
    if stages is None or "unlabelled_clips" not in data or not set(BATCH_PARTS) <= set(batch):
        return {"clips_per_step": per_step, **unknown}
    steps = sum(stage["steps"] for stage in stages if stage.get("trains") != "flow-head")
    unlabelled = batch["flexible"] if data["unlabelled_clips"] else 0
    filler = batch["flexible"] - unlabelled
    labelled = batch["labelled"] + filler - round(filler * batch.get("filler_replay_share", 0.5))
    return {
        "clips_per_step": per_step,
        "clips_seen": per_step * steps,
        "labelled_seen": labelled * steps,
        "unlabelled_seen": unlabelled * steps,
        "label_epochs": labelled * steps / data["labelled_clips"],
    }


def _data_identities(
    fingerprints: Mapping[str, str], data: Mapping[str, Any]
) -> dict[str, list[str]]:
    """`labelled-0` -> [hash of the data the spec asks for, fingerprint of what was there]."""
    identities = {}
    for key, fingerprint in fingerprints.items():
        # Of videos only as many clips are labelled as the run asks for: a fingerprint of those.
        counted = key.startswith("unlabelled") and data.get("videos")
        sizes = ("labelled_clips",) if counted else SUBSET_SIZES
        asked = {name: value for name, value in data.items() if name not in sizes}
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
        identities[key] = [digest, str(fingerprint)]
    return identities
