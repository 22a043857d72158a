"""Run a model on frames and turn its prediction into a reconstruction."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from flow3r.config import require, require_choice
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

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEMO_EDGE = 0.03
DEMO_CONFIDENCE = 0.1
_BF16_SINCE = 8
"""Major compute capability."""

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
    precision: str = "auto"
    """auto: on CUDA bfloat16, or float16 where the device has no bfloat16; float32 elsewhere."""
    with_flow: bool = True
    """Also predict the flow between neighbouring frames, where the model has a flow head."""

    def __post_init__(self) -> None:
        require(0 <= self.confidence < 1, f"confidence={self.confidence} is not in [0, 1)")
        require(self.edge > 0, f"edge={self.edge} must be > 0")
        require_choice("precision", self.precision, ("auto", *PRECISIONS))


def edge_tolerance(max_pixels: int) -> float:
    """The demo's 0.03, for images of another size.

    On a slanted surface the relative depth change per pixel is inversely proportional to the
    image's side: at 48 px the demo's number would take whole floors for edges.
    """
    return DEMO_EDGE * math.sqrt(DEMO_PIXELS / max_pixels)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype that the model's blocks run in."""
    if name != "auto":
        return PRECISIONS[name]
    if device.type != "cuda":
        return torch.float32
    major, _ = torch.cuda.get_device_capability(device)
    return torch.bfloat16 if major >= _BF16_SINCE else torch.float16


def reconstruct(
    model: Flow3r,
    frames: Frames,
    settings: ReconstructionSettings,
    on_progress: Progress = lambda what, done, total: None,
) -> Reconstruction:
    """One reconstruction from all frames at once, on the model's device.

    Raises DataError if the prediction is not finite. The flow head runs on one pair of frames at
    a time, which bounds its memory.
    """
    device = next(model.parameters()).device
    dtype = choose_precision(settings.precision, device)
    images = torch.from_numpy(frames.images).to(device).permute(0, 3, 1, 2)[None].float() / 255
    with torch.inference_mode(), _autocast(device, dtype):
        with _counting_blocks(model, on_progress):
            prediction = model(images)
        flow = _neighbour_flow(model, prediction, on_progress) if settings.with_flow else None
        return _result(prediction, flow, frames, settings, dtype)


def _autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager:
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)


@contextlib.contextmanager
def _counting_blocks(model: nn.Module, on_progress: Progress) -> Iterator[None]:
    """Report every transformer block that has run: on a CPU a large model takes minutes."""
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    done = 0

    def count(*_: object) -> None:
        nonlocal done
        done += 1
        on_progress("model", min(done, len(blocks)), len(blocks))

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
    dtype: torch.dtype,
) -> Reconstruction:
    poses = prediction.world_from_camera[0].double()
    first_from_world = inverse(poses[0])
    points = prediction.points[0].double()  # [N, H, W, 3]
    moved = transform_points(first_from_world, points.flatten(0, 2)).view_as(points)
    depth = prediction.local_points[0, ..., 2].float()
    confidence = prediction.confidence[0].float().sigmoid()
    confidence = confidence.masked_fill(depth_edges(depth, settings.edge), 0.0)
    result = Reconstruction(
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
    for name in ("depth", "confidence", "world_points", "world_from_camera", "intrinsics"):
        if not np.isfinite(getattr(result, name)).all():
            hint = "" if dtype == torch.float32 else f" ({dtype}); try precision=float32"
            raise DataError(f"the predicted {name} is not finite{hint}")
    return result


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()
