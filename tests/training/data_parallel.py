"""Trains small models in one of several processes; `test_data_parallel.py` starts it.

    python data_parallel.py RANK SIZE FOLDER CASE...

The first process writes FOLDER/CASE.pt: what was logged, the weights, and what was saved.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from flow3r.data.mixing import BatchConfig, BatchPlan
from flow3r.data.pairs import ordered_pairs
from flow3r.data.pool import Pool
from flow3r.data.store import ClipStore, ClipStoreWriter, StoreLayout
from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.geometry.rotation import rotation_from_nine
from flow3r.geometry.se3 import make_transform
from flow3r.losses.total import LossConfig
from flow3r.model.blocks import set_checkpointing
from flow3r.model.config import (
    PRESETS,
    DecoderConfig,
    EncoderConfig,
    ModelConfig,
    Pi3Config,
    TaskDecoderConfig,
)
from flow3r.training.batches import BatchLoader
from flow3r.training.checkpoint import TrainingState
from flow3r.training.config import AugmentationConfig, StageConfig, TrainingConfig
from flow3r.training.distributed import ALONE, Group, connected
from flow3r.training.loop import Hooks, Trainer
from flow3r.training.supervision import RunObjective

MODEL = Pi3Config(
    patch_size=8,
    encoder=EncoderConfig(16, 1, 2, 2, class_token=False, registers=0, layer_scale=None),
    decoder=DecoderConfig(16, 2, 2, registers=1, layer_scale=None),
    tasks=TaskDecoderConfig(16, 1, 2, 16, levels=(0,)),
    confidence="shared-decoder",
    attention="softmax",
)
TRAINING = TrainingConfig(
    stages=(
        StageConfig("head", 2, 1e-3, 1, trains="flow-head"),
        StageConfig("joint", 4, 1e-3, 2),
    )
)
LOSS = LossConfig(translation_direction_weight=0.5, scale_samples=64)
UNEVEN = BatchConfig(replay=2, labelled=1, flexible=2)  # three labelled and two unlabelled clips
FLOW_ONLY = BatchConfig(replay=0, labelled=1, flexible=1)  # the second process has no labels
TWO_PASSES = BatchConfig(replay=4, labelled=2, flexible=4, accumulate=2)


@dataclass(frozen=True)
class Case:
    """One small run."""

    formulation: str = "flow-factored"
    batch: BatchConfig = UNEVEN
    strategy: str = "ddp"
    loss: LossConfig = LOSS
    stop_after: int | None = None
    model: ModelConfig = MODEL
    checkpointing: bool = False


FORMULATIONS = ("3d-sup", "flow-projective", "flow-tracking", "flow-factored")
UNREACHED = replace(LOSS, confidence_weight=0.0, points_weight=0.0)
"""No loss reaches the confidence head."""

CASES = {
    **{name: Case(name) for name in FORMULATIONS},
    **{f"{name}, flow only": Case(name, FLOW_ONLY) for name in FORMULATIONS[1:]},
    "two passes": Case(batch=TWO_PASSES),
    "unreached": Case(loss=UNREACHED),
    "stopped": Case(stop_after=3),
    **{f"{name}, fsdp": Case(name, strategy="fsdp") for name in FORMULATIONS},
    "flow only, fsdp": Case(batch=FLOW_ONLY, strategy="fsdp"),
    "two passes, fsdp": Case(batch=TWO_PASSES, strategy="fsdp"),
    "unreached, fsdp": Case(loss=UNREACHED, strategy="fsdp"),
    "stopped, fsdp": Case(strategy="fsdp", stop_after=3),
    "checkpointing": Case(checkpointing=True),
    "checkpointing, fsdp": Case(checkpointing=True, strategy="fsdp"),
    "vggt": Case(model=PRESETS["vggt-smoke"]()),
    "vggt, fsdp": Case(model=PRESETS["vggt-smoke"](), strategy="fsdp"),
}


def make_store(path: Path, count: int, seed: int) -> ClipStore:
    """Random clips whose poses differ and whose depth has holes."""
    generator = torch.Generator().manual_seed(seed)
    pairs = ordered_pairs(2)
    layout = StoreLayout(2, 16, 24, tuple(map(tuple, pairs.tolist())), labelled=True)
    writer = ClipStoreWriter(path, count, layout)
    for index in range(count):
        nine = torch.eye(3).flatten() + 0.3 * torch.randn(2, 9, generator=generator)
        depth = 1.5 + 0.01 * torch.rand(2, 16, 24, generator=generator)  # no depth edges
        holes = torch.rand(2, 16, 24, generator=generator) < 0.1 * index
        labels = {
            "depth": depth.masked_fill(holes, 0),
            "intrinsics": torch.tensor([[20.0, 0, 11.5], [0, 20, 7.5], [0, 0, 1]]).repeat(2, 1, 1),
            "world_from_camera": make_transform(
                rotation_from_nine(nine), torch.randn(2, 3, generator=generator)
            ),
            "moving": holes,
        }
        target = torch.rand(2, 16, 24, 2, generator=generator) * 16
        covisibility = torch.rand(2, 16, 24, generator=generator)
        images = torch.rand(2, 3, 16, 24, generator=generator)
        writer.write(index, images, target, covisibility, labels)
    writer.finish({"made": "for a test"})
    return ClipStore.open(path)


class Runner:
    """Trains cases as one process of a group."""

    def __init__(self, group: Group, folder: Path) -> None:
        self.group = group
        self.stores = {name: make_store(folder / name, 6, i) for i, name in enumerate("ab")}

    def run(self, case: Case, state: TrainingState | None = None) -> dict:
        """What a run leaves behind."""
        group = replace(self.group, strategy=case.strategy)
        logged: dict[int, dict[str, float]] = {}
        saved: list[TrainingState] = []
        steps = [0]
        hooks = Hooks(
            log=lambda step, stage, metrics: logged.__setitem__(step, metrics),
            after_step=lambda step, stage: steps.__setitem__(0, step),
            validate=lambda step, stage: None,
            save=lambda state: saved.append(copy.deepcopy(state)),
            save_due=lambda: False,
            # Only one process hears of it, as with a signal.
            should_stop=lambda: group.rank == group.size - 1 and steps[0] == case.stop_after,
            log_every=1,
            validate_every=2,
        )
        model = build_model(case.model, FormulationConfig(case.formulation), 0)
        set_checkpointing(model, case.checkpointing)
        trainer = Trainer(
            RunObjective(model, case.loss, "float32", group.total),
            self._loader(case, group),
            TRAINING,
            hooks,
            group,
        )
        complete = trainer.fit(state)
        return {"complete": complete, "logged": logged, "saved": [vars(s) for s in saved]}

    def _loader(self, case: Case, group: Group) -> BatchLoader:
        pools = {
            "source": Pool.whole([self.stores["a"]]),
            "labelled": Pool.nested(self.stores["b"], 3, "labelled"),
            "unlabelled": Pool.whole([self.stores["b"]]),
        }
        if case.formulation == "3d-sup":
            pools["unlabelled"] = Pool([], [])
        sizes = {name: len(pool) for name, pool in pools.items()}
        plan = BatchPlan(case.batch, 0, sizes, group.share)
        return BatchLoader(plan, pools, AugmentationConfig(), "cpu")


def main(rank: int, size: int, folder: Path, names: list[str]) -> None:
    """Run the cases one after another; a stopped one goes on from its saved state."""
    torch.set_num_threads(1)
    group = Group(rank, size) if size > 1 else ALONE
    runner = Runner(group, folder / f"{size}-{rank}")
    if size == 1:
        return _all(runner, folder, names)
    store = torch.distributed.FileStore(str(folder / "meeting"), size)
    with connected(group, store, torch.device("cpu")):
        _all(runner, folder, names)
    return None


def _all(runner: Runner, folder: Path, names: list[str]) -> None:
    for name in names:
        case = CASES[name]
        result = runner.run(case)
        if case.stop_after is not None:
            [state] = result["saved"]
            going_on = replace(case, stop_after=None)
            result["continued"] = runner.run(going_on, _everywhere(state, runner.group))
        if runner.group.rank == 0:
            torch.save(result, folder / f"{name}, {runner.group.size}.pt")


def _everywhere(state: dict, group: Group) -> TrainingState:
    """What the first process saved: all of them read it from the same file."""
    if group.size > 1:
        objects = [state]
        torch.distributed.broadcast_object_list(objects, src=0)
        [state] = objects
    return TrainingState(**state)


def final_weights(result: dict) -> dict[str, Tensor]:
    """The weights at the end of a run."""
    return result["saved"][-1]["model"]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
