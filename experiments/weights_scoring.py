"""Scoring a weights file on the test benchmarks of a composed config, as a run of zero steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from experiments.assembly import choose_device
from experiments.compose import Composed, compose
from experiments.execute import DONE, execute, stage_directory
from experiments.folders import new_folder
from experiments.provenance import environment, git_state
from experiments.rundir import RunDirectory
from experiments.scoring import evaluate_run
from experiments.spec import RunSpec, parse_spec
from experiments.stages import benchmark_stages
from experiments.threads import limit_threads
from flow3r.config import require
from flow3r.errors import DataError
from flow3r.files import read_json, write_json
from flow3r.library.create import RELEASED_SIZES, formulation_config
from flow3r.library.load import default_formulation
from flow3r.library.presets import preset_of
from flow3r.weights.build import build_with_weights
from flow3r.weights.files import read_weights
from flow3r.weights.layouts import OWN, recognise
from flow3r.weights.released import import_released
from flow3r.weights.transfer import ImportReport

OPTIONS = ("head_options", "formulation.options")


@dataclass(frozen=True)
class Scored:
    """The scores of a weights file and where they were written."""

    directory: Path
    report: ImportReport
    records: dict[str, Any]


def score_weights(weights: Path, overrides: list[str]) -> Scored:
    """Run the model of a released file on the benchmarks; write a new directory in
    `<output_dir>/evaluations`.

    Without `model=` the sizes are the preset's that the file fits; without `formulation=` it is
    flow-factored if the file holds that head, else flow-projective, which needs no weights.
    """
    state_dict = read_weights(weights)
    composed, spec = _compose(weights, state_dict, overrides)
    parsed = parse_spec(spec)
    _check_sizes(parsed)
    limit_threads(composed.runtime["threads"])
    device = choose_device(composed.runtime["device"])
    model, report = build_with_weights(
        parsed.model,
        parsed.formulation,
        parsed.seed,
        lambda built: import_released(built, state_dict, may_lack=("confidence",)),
        f"weights={weights}",
    )
    print(report, flush=True)
    output_dir = composed.output_dir.resolve()
    _compute_stages(spec, composed.runtime, output_dir)
    path = new_folder(output_dir / "evaluations", weights)
    directory = RunDirectory.create(path, "evaluation", path.name, spec, composed.runtime)
    write_json(
        path / "provenance.json",
        {**git_state(), **environment(), "device": str(device), "import": asdict(report)},
    )
    evaluate_run(directory, spec, parsed, model.to(device), device, stop=lambda: False)
    return Scored(path, report, read_json(path / "evaluation.json")["benchmarks"])


def _compose(
    weights: Path, state_dict: Mapping[str, Tensor], overrides: list[str]
) -> tuple[Composed, dict[str, Any]]:
    """The config with what the file itself says filled in."""
    layout = recognise(state_dict, f"weights={weights}")
    if layout in OWN:
        raise DataError(f"weights={weights} is of a run of ours; score it with run={weights}")
    if layout == "dinov2":
        raise DataError(
            f"weights={weights} holds a DINOv2 encoder alone: there is nothing to score"
        )
    given = dict(override.partition("=")[::2] for override in overrides)
    model = given.get("model") or preset_of(state_dict, f"weights={weights}")
    formulation = given.get("formulation") or default_formulation(state_dict)
    composed = compose(
        [
            *(o for o in overrides if not o.startswith(("model=", "formulation="))),
            f"model={model}",
            f"formulation={formulation}",
            f"model.init={weights}",
            "training.stages=[]",
        ]
    )
    spec = composed.spec
    if model in RELEASED_SIZES and not any(key.startswith(OPTIONS) for key in given):
        options = formulation_config(model, formulation, {}).options
        spec = {**spec, "formulation": {"name": formulation, "options": options}}
    return composed, spec


def _check_sizes(parsed: RunSpec) -> None:
    """Raise ConfigError unless the benchmarks' frames can be cut into patches."""
    patch = parsed.model.patch_size
    for name, dataset in parsed.data.test.items():
        height, width = dataset.world.height, dataset.world.width
        require(
            height % patch == 0 and width % patch == 0,
            f"benchmark {name}: frames of {width} x {height} px cannot be cut into patches of "
            f"{patch} px; add size.pixels={max(patch, round(height / patch) * patch)}, say",
        )


def _compute_stages(spec: dict[str, Any], runtime: dict[str, Any], output_dir: Path) -> None:
    for stage in benchmark_stages(spec):
        directory = stage_directory(stage, runtime, output_dir)
        if execute(directory, stop=lambda: False) != DONE:
            raise DataError(f"stage {stage.id} failed: see {directory.path / 'status.json'}")
