"""Run a model on frames and turn its prediction into a reconstruction."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flow3r.config import require
from flow3r.errors import DataError
from flow3r.formulations.assembled import Flow3r
from flow3r.geometry.camera import pixel_grid
from flow3r.geometry.se3 import inverse, transform_points
from flow3r.inference.frames import Frames
from flow3r.inference.masks import depth_edges
from flow3r.inference.result import Reconstruction
from flow3r.inference.size import DEMO_PIXELS
from flow3r.model.blocks import Block
from flow3r.model.outputs import Prediction
from flow3r.model.precision import reduced_precision

DEMO_EDGE = 0.03
DEMO_CONFIDENCE = 0.1

Progress = Callable[[str, int, int], None]
"""Called with what is being done (model, flow), how much of it is done, and how much there is."""


@dataclass(frozen=True)
class ReconstructionSettings:
    """What is computed, and which pixels become points."""

    confidence: float = DEMO_CONFIDENCE
    """Points need a confidence (after the sigmoid) above this."""
    edge: float = DEMO_EDGE
    """Where depth within 3 x 3 pixels spans more than this share of it, the confidence is 0: the
    model interpolates between foreground and background there. See `edge_tolerance`."""
    with_flow: bool = True
    """Also predict the flow between neighbouring frames, where the model has a flow head."""

    def __post_init__(self) -> None:
        require(0 <= self.confidence < 1, f"confidence={self.confidence} is not in [0, 1)")
        require(self.edge > 0, f"edge={self.edge} must be > 0")


def edge_tolerance(max_pixels: int) -> float:
    """The demo's 0.03, for images of another size.

    On a slanted surface the relative depth change per pixel is inversely proportional to the
    image's side: at 48 px the demo's number would take whole floors for edges.
    """
    return DEMO_EDGE * math.sqrt(DEMO_PIXELS / max_pixels)


def reconstruct(
    model: Flow3r,
    frames: Frames,
    settings: ReconstructionSettings,
    on_progress: Progress = lambda what, done, total: None,
) -> Reconstruction:
    """One reconstruction from all frames at once, on the model's device, in its `compute_dtype`.

    Raises DataError if the prediction is not finite. The flow head runs on one pair of frames at
    a time, which bounds its memory.
    """
    prediction = predict(model, frames.images, on_progress)
    with torch.inference_mode():
        flow = _neighbour_flow(model, prediction, on_progress) if settings.with_flow else None
        result = _result(prediction, flow, frames, settings)
    _require_finite(result, model.compute_dtype)
    return result


def predict(
    model: Flow3r,
    images: NDArray[np.uint8],
    on_progress: Progress = lambda what, done, total: None,
) -> Prediction:
    """One forward pass over images [N, H, W, 3] as one clip, without the flow head."""
    device = next(model.parameters()).device
    clip = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)[None].float() / 255
    with torch.inference_mode(), _counting_blocks(model, on_progress):
        return model(clip)


@contextlib.contextmanager
def _counting_blocks(model: nn.Module, on_progress: Progress) -> Iterator[None]:
    """Report every transformer block that has run: on a CPU a large model takes minutes.

    Blocks that run again (VGGT's pose head refines) count once.
    """
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    waiting = set(blocks)

    def count(block: nn.Module, *_: object) -> None:
        if block in waiting:
            waiting.remove(block)
            on_progress("model", len(blocks) - len(waiting), len(blocks))

    handles = [block.register_forward_hook(count) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _neighbour_flow(
    model: Flow3r, prediction: Prediction, on_progress: Progress
) -> np.ndarray | None:
    """Displacements [N-1, H, W, 2] to the next frame; NaN where the model predicts none."""
    count = prediction.local_points.shape[1] - 1
    flows = []
    for first in range(count):
        pairs = torch.tensor([[first, first + 1]], device=prediction.local_points.device)
        with reduced_precision(pairs, model.compute_dtype):
            flow = model.flow(prediction.latents, prediction.geometry, pairs)
        if flow is None:
            return None
        target = flow.target_px[0, 0].float()  # [H, W, 2]
        moves = target - pixel_grid(*target.shape[:2], device=target.device)
        flows.append(_array(moves.masked_fill(~flow.valid[0, 0, ..., None], math.nan)))
        on_progress("flow", first + 1, count)
    return np.stack(flows) if flows else None


def _result(
    prediction: Prediction,
    flow: np.ndarray | None,
    frames: Frames,
    settings: ReconstructionSettings,
) -> Reconstruction:
    poses = prediction.world_from_camera[0].double()
    first_from_world = inverse(poses[0])
    points = prediction.points[0].double()  # [N, H, W, 3]
    moved = transform_points(first_from_world, points.flatten(0, 2)).view_as(points)
    depth = prediction.local_points[0, ..., 2].float()
    confidence = prediction.confidence[0].float().sigmoid()
    confidence = confidence.masked_fill(depth_edges(depth, settings.edge), 0.0)
    return Reconstruction(
        names=frames.names,
        images=frames.images,
        depth=_array(depth),
        confidence=_array(confidence),
        world_points=_array(moved),
        world_from_camera=_array(first_from_world @ poses),
        intrinsics=_array(prediction.intrinsics[0]),
        flow_px=flow,
        threshold=settings.confidence,
    )


def _require_finite(result: Reconstruction, dtype: torch.dtype) -> None:
    for name in ("depth", "confidence", "world_points", "world_from_camera", "intrinsics"):
        if not np.isfinite(getattr(result, name)).all():
            hint = "" if dtype == torch.float32 else f" ({dtype}); try precision=float32"
            raise DataError(f"the predicted {name} is not finite{hint}")


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()
