"""Geometry runs in float32 or float64, also inside an autocast region."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_HALF = (torch.float16, torch.bfloat16)


def full_precision(function: FunctionT) -> FunctionT:
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


def _raised(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in _HALF else value
