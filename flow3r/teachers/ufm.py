"""UFM (unified flow and matching) of the `uniflowmatch` package, weights by path or hub name.

The model says covisibility itself. Displacements come in pixels of the images handed to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from flow3r.config import require, require_choice
from flow3r.errors import ConfigError
from flow3r.geometry.camera import pixel_grid
from flow3r.teachers.forward_backward import inside
from flow3r.teachers.learned import LearnedTeacher
from flow3r.teachers.resizing import stretch, stretch_flow

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
    content: str = ""
    """Hash of the file when the run was planned: it identifies the weights, the path does not.
    Another file is refused. Empty: not checked."""
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
class UfmTeacher(LearnedTeacher):
    """The network's own flow and covisibility."""

    config: UfmConfig = field(default_factory=UfmConfig)
    name: ClassVar[str] = "ufm"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**super().settings, "size": list(self.config.size)}

    def _load(self) -> nn.Module:
        return load_ufm(self.config)

    def _label(self, images: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        height, width = images.shape[-2:]
        images = stretch(images, self.config.size)
        # uint8 pictures, so that the package applies the normalisation of its own encoder.
        images = (images.clamp(0, 1) * 255).round().to(torch.uint8)
        flows, masks = [], []
        for part in pairs.split(self.config.batch):
            found = self._model.predict_correspondences_batched(
                source_image=images[part[:, 0]], target_image=images[part[:, 1]]
            )
            flows.append(found.flow.flow_output.float())
            masks.append(found.covisibility.mask.float())
        flow = stretch_flow(torch.cat(flows), (height, width)).permute(0, 2, 3, 1)
        mask = stretch(torch.cat(masks)[:, None], (height, width))[:, 0].clamp(0, 1)
        target_px = flow + pixel_grid(height, width, flow.device, flow.dtype)
        keep = (mask >= self.config.threshold) & inside(target_px)
        return target_px, torch.where(keep, mask, torch.zeros_like(mask))


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
