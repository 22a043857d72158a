"""A ready-to-use model out of a run directory or a file of released weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from flow3r.config import from_mapping, require, require_choice
from flow3r.errors import ConfigError, DataError
from flow3r.files import read_json
from flow3r.formulations.assembled import Flow3r
from flow3r.formulations.registry import FormulationConfig
from flow3r.library.create import formulation_config, model_config
from flow3r.library.presets import preset_of
from flow3r.model.config import PRESETS, ModelConfig
from flow3r.weights.build import build_with_weights
from flow3r.weights.files import read_weights
from flow3r.weights.layouts import FLOW_HEAD, OWN, recognise
from flow3r.weights.own import import_own
from flow3r.weights.released import import_released
from flow3r.weights.transfer import ImportReport

WEIGHTS = {"run": Path("checkpoint") / "weights.pt", "pretrain": Path("weights.pt")}
"""Where a run directory and the directory of the pretrain stage keep their weights."""
DTYPES = (torch.float32, torch.bfloat16, torch.float16)

_log = logging.getLogger("flow3r")


def load(
    path: str | Path,
    formulation: str | None = None,
    model: str | ModelConfig | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    may_lack: Sequence[str] = (),
    **options: Any,
) -> Flow3r:
    """A model in eval mode with the weights at `path`, one of

    - a run directory, or a weights file in one: its `spec.json` says which model and formulation;
    - a .safetensors, .bin, .pt or .pth file with the names of released Flow3r, pi3 or VGGT. `model`
      names its sizes (a preset or a config); without it, the preset of the same sizes is taken.
      `formulation` is flow-factored where the file holds that head; else it is flow-projective,
      which has no weights of its own.

    `options` are the formulation's. With a `dtype` of half precision, forward runs under autocast
    (heads in float32) and the backbone's linear layers are stored in it. `may_lack` is that of
    `import_released`: early pi3 weights lack the confidence branch. On a CPU the weights stay
    mapped from the file: do not overwrite it in place. Raises ConfigError or DataError.
    """
    require_choice("dtype", dtype, DTYPES)
    path = Path(path)
    if not path.exists():
        hint = "; a preset is built with flow3r.create_model" if str(path) in PRESETS else ""
        raise DataError(f"nothing to load at {path}{hint}")
    run = find_run(path)
    if run is not None:
        loaded, report = _load_run(run, path, formulation, model, options)
    else:
        loaded, report = _load_file(path, formulation, model, may_lack, options)
    _log.info("%s: %s", path, report)
    _store_backbone_in(loaded, dtype)
    return loaded.to(device).eval()


def find_run(path: Path) -> Path | None:
    """The run or stage directory that `path` is, or that holds it or its folder; else None."""
    for candidate in (path, *path.resolve().parents[:2]):
        if (candidate / "spec.json").exists():
            return candidate.resolve()
    return None


def _load_file(
    path: Path,
    formulation: str | None,
    model: str | ModelConfig | None,
    may_lack: Sequence[str],
    options: dict[str, Any],
) -> tuple[Flow3r, ImportReport]:
    state_dict = read_weights(path)
    layout = recognise(state_dict, str(path))
    if layout in OWN:
        raise DataError(f"{path} is of a run of ours, but there is no spec.json beside it")
    if layout == "dinov2":
        raise DataError(f"{path} holds a DINOv2 encoder alone: use it to start a training")
    if model is None:
        model = preset_of(state_dict, str(path))
    if formulation is None:
        formulation = default_formulation(state_dict)
    chosen = formulation_config(model, formulation, options)
    return build_with_weights(
        model_config(model),
        chosen,
        0,
        lambda built: import_released(built, state_dict, may_lack),
        str(path),
    )


def default_formulation(state_dict: Mapping[str, Tensor]) -> str:
    """flow-factored where a released file holds that head, else the one without parameters."""
    held = any(name.startswith(FLOW_HEAD) for name in state_dict)
    return "flow-factored" if held else "flow-projective"


def _load_run(
    run: Path,
    path: Path,
    formulation: str | None,
    model: str | ModelConfig | None,
    options: dict[str, Any],
) -> tuple[Flow3r, ImportReport]:
    require(model is None, f"{run} says which model it is; leave out model={model!r}")
    content = read_json(run / "spec.json")
    if content["kind"] not in WEIGHTS:
        raise DataError(f"{run} is of kind {content['kind']!r}, which has no weights")
    weights = path if path.is_file() and path.suffix != ".json" else run / WEIGHTS[content["kind"]]
    spec = content["spec"]
    config = from_mapping(ModelConfig, spec["model"], "model")
    chosen = _formulation_of(content["kind"], spec, formulation, options)
    state_dict = read_weights(weights)
    return build_with_weights(
        config, chosen, 0, lambda built: import_own(built, state_dict), str(weights)
    )


def _formulation_of(
    kind: str, spec: dict[str, Any], name: str | None, options: dict[str, Any]
) -> FormulationConfig:
    """The formulation that a run, or the pretrain stage, has weights for, or one without any."""
    trained = [spec["formulation"]] if kind == "run" else spec["pretrain"]["formulations"]
    known = {f["name"]: f["options"] for f in trained}
    if name is None:
        if len(known) > 1:
            raise ConfigError(f"formulation= is needed; these weights have {sorted(known)}")
        name = next(iter(known), "flow-projective")
    return FormulationConfig(name, {**known.get(name, {}), **options})


def _store_backbone_in(model: Flow3r, dtype: torch.dtype) -> None:
    """Autocast rounds these weights anyway: half the memory, the same values."""
    model.compute_dtype = dtype
    if dtype != torch.float32:
        for module in model.model.backbone.modules():
            if isinstance(module, nn.Linear):
                module.to(dtype)
