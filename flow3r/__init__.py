"""Feed-forward 3D reconstruction with four interchangeable flow formulations.

    model = flow3r.create_model("pi3-small", formulation="flow-factored", seed=0)
    model = flow3r.load("model.safetensors")  # released weights, or a run's own
    prediction = model(images, pairs)  # images [B, N, 3, H, W] in [0, 1], pairs [P, 2] or [B, P, 2]
    prediction.points, prediction.world_from_camera, prediction.flow.target_px

    report = flow3r.import_released(model, state_dict)
    state_dict = flow3r.export_released(model)

Importing the package loads neither torch nor anything else; the first use of a function does.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "create_model": "flow3r.library.create",
    "load": "flow3r.library.load",
    "import_released": "flow3r.weights.released",
    "export_released": "flow3r.weights.released",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flow3r' has no attribute {name!r}; it has {__all__}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
