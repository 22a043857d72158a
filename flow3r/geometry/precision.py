"""Geometry runs in float32 or float64, also inside an autocast region."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_HALF = (torch.float16, torch.bfloat16)


def never_half(function: FunctionT) -> FunctionT:
    """Run `function` outside autocast, with its half-precision tensor arguments raised to float32.

    A pixel coordinate of 400 has a spacing of 2 in bfloat16, and a bfloat16 3x3 product is no
    rotation any more; autocast would silently turn every matrix product here into that.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        args = tuple(_raised(value) for value in args)
        kwargs = {name: _raised(value) for name, value in kwargs.items()}
        tensors = (v for v in (*args, *kwargs.values()) if isinstance(v, Tensor))
        device_type = next(tensors).device.type
        if not torch.is_autocast_enabled(device_type):
            return function(*args, **kwargs)
        with torch.autocast(device_type, enabled=False):
            return function(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


def at_least_float32(tensor: Tensor) -> Tensor:
    """float16 and bfloat16 become float32; float32 and float64 stay."""
    return tensor.float() if tensor.dtype in _HALF else tensor


def _raised(value: Any) -> Any:
    return at_least_float32(value) if isinstance(value, Tensor) else value
