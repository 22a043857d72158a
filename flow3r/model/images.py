"""What every backbone does to its images first: check their shape, normalise their colours."""

from __future__ import annotations

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def channel_constant(values: tuple[float, ...]) -> Tensor:
    """[1, 3, 1, 1], to be registered as a buffer; real even in a model built on the meta device,
    since released weights need not hold it.
    """
    return torch.tensor(values, device="cpu").view(1, 3, 1, 1)


def check_images(images: Tensor, patch_size: int) -> None:
    """Raise ValueError unless images are [B, N, 3, H, W] with sides divisible by the patch size."""
    if images.ndim != 5 or images.shape[2] != 3:
        raise ValueError(f"images must be [B, N, 3, H, W], got {tuple(images.shape)}")
    if images.shape[-2] % patch_size or images.shape[-1] % patch_size:
        raise ValueError(
            f"image size {tuple(images.shape[-2:])} is not a multiple of the patch size "
            f"{patch_size}"
        )
