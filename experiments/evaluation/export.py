"""A model's predictions for the sequences of a benchmark, written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.plan import Evaluation
from experiments.evaluation.sequences import Listed
from flow3r.data.scenes import Frame
from flow3r.errors import DataError
from flow3r.evaluation.prediction_files import exported_fingerprint, write_prediction
from flow3r.evaluation.protocols.loading import input_images, protocol_frames
from flow3r.evaluation.sequence import SequencePrediction
from flow3r.formulations.assembled import Flow3r
from flow3r.inference.reconstruct import predict
from flow3r.model.outputs import Geometry


def missing_predictions(
    folder: Path, listed: list[Listed], fingerprint: Mapping[str, str]
) -> list[Listed]:
    """The sequences that are not exported yet.

    Raises DataError for files that belong to another model, input or precision.
    """
    missing = []
    for one in listed:
        found = exported_fingerprint(folder, one.scene)
        if found is None:
            missing.append(one)
        elif found != dict(fingerprint):
            differing = [key for key in fingerprint if found.get(key) != fingerprint[key]]
            raise DataError(
                f"{folder / one.scene}: the prediction there belongs to another {differing[0]} "
                f"({found.get(differing[0])}, not {fingerprint[differing[0]]}); remove it, or "
                "choose another output_dir"
            )
    return missing


def export_predictions(
    model: Flow3r,
    evaluation: Evaluation,
    missing: list[Listed],
    folder: Path,
    fingerprint: Mapping[str, str],
    stop: Callable[[], bool],
    check: Callable[[int, int, int], None],
    on_sequence: Callable[[int, int], None],
) -> bool:
    """One forward pass over each sequence (each frame, where the protocol says so), and its files;
    False when stopped in between. `check` is given the frames, height and width of every input.

    May be killed at any time: what is written stays, and is not computed again.
    """
    on_sequence(0, len(missing))
    for place, one in enumerate(missing):
        if stop():
            return False
        frames = protocol_frames(evaluation.protocol, evaluation.dataset.scene(one.scene))
        images = input_images(evaluation.protocol, frames)
        single = evaluation.protocol.single_frames
        check(1 if single else len(images), *images.shape[1:3])
        try:
            prediction = _predicted(model, one, images, single)
        except DataError as error:
            raise DataError(f"the model's prediction cannot be scored: {error}") from None
        write_prediction(folder, prediction, _times(frames), fingerprint)
        on_sequence(place + 1, len(missing))
    return True


def _predicted(
    model: Flow3r, listed: Listed, images: NDArray[np.uint8], single_frames: bool
) -> SequencePrediction:
    """All frames as one clip, or each as a clip of its own."""
    clips = [images[k : k + 1] for k in range(len(images))] if single_frames else [images]
    parts = [_arrays(predict(model, clip).geometry) for clip in clips]
    whole = {
        name: None if value is None else np.concatenate([part[name] for part in parts])
        for name, value in parts[0].items()
    }
    return SequencePrediction(listed.scene, listed.frames, **whole)


def _arrays(geometry: Geometry) -> dict[str, np.ndarray | None]:
    """The decoded geometry of one clip, by the names of `SequencePrediction`."""
    own_points = geometry.predicted_points
    return {
        "world_from_camera": geometry.world_from_camera[0].double().cpu().numpy(),
        "local_points": geometry.local_points[0].float().cpu().numpy(),
        "world_points": None if own_points is None else own_points[0].float().cpu().numpy(),
        "confidence": geometry.confidence[0].float().sigmoid().cpu().numpy(),
    }


def _times(frames: tuple[Frame, ...]) -> list[float]:
    """Seconds where every frame has them and they rise, else the place in the sequence."""
    seconds = [frame.seconds for frame in frames]
    if all(value is not None for value in seconds) and (np.diff(seconds) >= 0).all():
        return seconds
    return [float(place) for place in range(len(frames))]
