"""What teachers with a network have in common: a file of weights, a device, pairs in batches."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flow3r.config import require
from flow3r.teachers.base import ExactFlow, FlowLabels, Teacher, check_clip
from flow3r.teachers.resizing import to_unit


def weights_content(path: Path) -> str:
    """16 hexadecimal digits that identify a file of weights by what it holds."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@dataclass(frozen=True)
class LearnedTeacher(Teacher):
    """A subclass has `config` (with weights, device and batch), `_load` and `_label`.

    `build` makes the network from the settings in place of `_load`; tests put a fake one there.
    """

    config: Any
    build: Callable[[Any], nn.Module] | None = None

    def _load(self) -> nn.Module:
        """The network with the user's weights; ConfigError says what is missing."""
        raise NotImplementedError

    def _label(self, images: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Images [N, 3, H, W] in [0, 1] and at least one pair [P, 2], on the network's device ->
        target_px [P, H, W, 2] and covisibility [P, H, W].
        """
        raise NotImplementedError

    @property
    def settings(self) -> Mapping[str, Any]:
        """Without device and batch; a file of weights by its content, not its path."""
        values = dataclasses.asdict(self.config)
        for name in ("device", "batch", "content"):
            del values[name]
        return values | {"weights": self._weights_id}

    @cached_property
    def _weights_id(self) -> str:
        path = Path(self.config.weights)
        return weights_content(path) if path.is_file() else self.config.weights

    @cached_property
    def _model(self) -> nn.Module:
        planned = self.config.content
        require(
            planned in ("", self._weights_id),
            f"teacher {self.name!r}: {self.config.weights} changed since the run was planned "
            f"(content {self._weights_id}, planned with {planned})",
        )
        model = self._load() if self.build is None else self.build(self.config)
        return model.eval().to(self.config.device)

    @torch.inference_mode()
    def label(
        self, frames: Tensor, pairs: Tensor, *, truth: ExactFlow | None = None, index: int = 0
    ) -> FlowLabels:
        check_clip(frames, pairs)
        if not len(pairs):
            shape = (0, *frames.shape[-2:])
            return FlowLabels(torch.zeros(*shape, 2), torch.zeros(shape))
        images = to_unit(frames).to(self.config.device)
        target_px, covisibility = self._label(images, pairs.to(images.device))
        return FlowLabels(target_px.to(frames.device), covisibility.to(frames.device))
