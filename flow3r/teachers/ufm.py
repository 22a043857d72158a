"""UFM (unified flow and matching) of the `uniflowmatch` package, weights by path or hub name.

The model says covisibility itself. Displacements come in pixels of the images handed to it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from flow3r.config import require, require_choice
from flow3r.errors import ConfigError
from flow3r.teachers.base import ExactFlow, FlowLabels, Teacher, check_clip
from flow3r.teachers.forward_backward import inside, pixel_grid
from flow3r.teachers.resizing import stretch, stretch_flow, to_unit

CLASSES = {
    "base": "UniFlowMatchConfidence",
    "refine": "UniFlowMatchClassificationRefinement",
}


@dataclass(frozen=True)
class UfmConfig:
    """Which UFM, and how it is run."""

    weights: str = ""
    """A checkpoint file, or a name on the hub such as infinity1096/UFM-Base; required. Only a
    hub name makes the package use the network, and only if its cache does not have it."""
    variant: str = "base"
    size: tuple[int, int] = (420, 560)
    """(height, width) the images are stretched to: the model's own inference size. At another one
    it would resize its flow to the images by nearest neighbour, half a pixel off."""
    threshold: float = 0.5
    """Covisibility below this is 0, above it stays the model's number."""
    batch: int = 4
    device: str = "cpu"

    def __post_init__(self) -> None:
        require_choice("variant", self.variant, CLASSES)
        require(min(self.size) >= 14, f"size={self.size}: sides must be >= 14")
        require(0 <= self.threshold <= 1, f"threshold={self.threshold}: not in [0, 1]")
        require(self.batch >= 1, f"batch={self.batch}: must be >= 1")


@dataclass(frozen=True)
class UfmTeacher(Teacher):
    """`build` makes the network from the settings; tests put a fake one there."""

    config: UfmConfig = field(default_factory=UfmConfig)
    build: Callable[[UfmConfig], nn.Module] | None = None
    name: ClassVar[str] = "ufm"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Without device and batch; a file of weights by its content, not its path."""
        values = dataclasses.asdict(self.config) | {"size": list(self.config.size)}
        for name in ("device", "batch"):
            del values[name]
        return values | {"weights": self._weights_id}

    @cached_property
    def _weights_id(self) -> str:
        path = Path(self.config.weights)
        if not path.is_file():
            return self.config.weights
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    @cached_property
    def _model(self) -> nn.Module:
        return (self.build or load_ufm)(self.config).eval().to(self.config.device)

    @torch.inference_mode()
    def label(
        self, frames: Tensor, pairs: Tensor, *, truth: ExactFlow | None = None, index: int = 0
    ) -> FlowLabels:
        check_clip(frames, pairs)
        height, width = frames.shape[-2:]
        if not len(pairs):
            shape = (0, height, width)
            return FlowLabels(torch.zeros(*shape, 2), torch.zeros(shape))
        images = stretch(to_unit(frames).to(self.config.device), self.config.size)
        # uint8 pictures, so that the package applies the normalisation of its own encoder.
        images = (images.clamp(0, 1) * 255).round().to(torch.uint8)
        flows, masks = [], []
        for part in pairs.to(images.device).split(self.config.batch):
            found = self._model.predict_correspondences_batched(
                source_image=images[part[:, 0]], target_image=images[part[:, 1]]
            )
            flows.append(found.flow.flow_output.float())
            masks.append(found.covisibility.mask.float())
        flow = stretch_flow(torch.cat(flows), (height, width)).permute(0, 2, 3, 1)
        mask = stretch(torch.cat(masks)[:, None], (height, width))[:, 0].clamp(0, 1)
        target_px = flow + pixel_grid(height, width, flow)
        keep = (mask >= self.config.threshold) & inside(target_px)
        covisibility = torch.where(keep, mask, torch.zeros_like(mask))
        return FlowLabels(target_px.to(frames.device), covisibility.to(frames.device))


def load_ufm(config: UfmConfig) -> nn.Module:
    """The package's model; ConfigError says what is missing."""
    require(
        bool(config.weights),
        "teacher 'ufm' needs teacher.settings.weights=PATH of a checkpoint, or a hub name such as "
        "infinity1096/UFM-Base",
    )
    path = Path(config.weights)
    named_file = path.suffix in (".pth", ".pt", ".ckpt") or path.is_absolute()
    require(
        path.is_file() or not named_file,
        f"teacher 'ufm': weights={config.weights!r}: no such file; put the checkpoint there or "
        "give a hub name such as infinity1096/UFM-Base",
    )
    try:
        from uniflowmatch.models import ufm
    except ImportError as error:
        raise ConfigError(
            f"teacher 'ufm' needs the package uniflowmatch, which cannot be imported ({error}); "
            "install it from a checkout of github.com/UniFlowMatch/UFM (with its submodule "
            "uniception): pip install -e UFM"
        ) from error
    model = getattr(ufm, CLASSES[config.variant])
    if not path.is_file():
        return model.from_pretrained(config.weights)
    # The package's own reader of checkpoints unpickles whatever they hold.
    content = torch.load(path, map_location="cpu", weights_only=True)
    require(
        isinstance(content, dict) and {"model_args", "model"} <= set(content),
        f"teacher 'ufm': {path} is no UFM checkpoint (a dictionary of model_args and model)",
    )
    network = model(**content["model_args"])
    network.load_state_dict(content["model"])
    return network
