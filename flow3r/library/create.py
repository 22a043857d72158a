"""Models by name."""

from __future__ import annotations

from typing import Any

from flow3r.config import require_choice
from flow3r.formulations.assembled import Flow3r, build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.model.config import PRESETS, ModelConfig

RELEASED_SIZES = ("pi3-large", "vggt-large")
RELEASED_HEAD: dict[str, dict[str, Any]] = {"flow-factored": {"identity_ramp": False}}
"""Options of a formulation at the released sizes: the released flow head has no identity ramp."""


def create_model(
    model: str | ModelConfig, formulation: str = "flow-factored", seed: int = 0, **options: Any
) -> Flow3r:
    """Build a model with initial weights that depend on the seed alone.

    `model` is a preset ("pi3-large", "pi3-small", "pi3-study", "vggt-large", ...) or a config of
    your own, `options` are the formulation's. Raises ConfigError with the valid names.
    """
    config = model_config(model)
    return build_model(config, formulation_config(model, formulation, options), seed)


def model_config(model: str | ModelConfig) -> ModelConfig:
    """The sizes of a preset; a config is passed through."""
    if not isinstance(model, str):
        return model
    require_choice("model", model, sorted(PRESETS))
    return PRESETS[model]()


def formulation_config(
    model: str | ModelConfig, formulation: str, options: dict[str, Any]
) -> FormulationConfig:
    """A formulation with the options that the preset prescribes and, above them, the given ones."""
    prescribed = RELEASED_HEAD.get(formulation, {}) if model in RELEASED_SIZES else {}
    return FormulationConfig(formulation, {**prescribed, **options})
