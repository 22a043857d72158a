"""A tiny model and loader on random clips: enough for every guarantee of the loop."""

import copy

import pytest

from flow3r.data.mixing import WHOLE, BatchConfig, BatchPlan, Share
from flow3r.data.pool import Pool
from flow3r.formulations.assembled import build_model
from flow3r.formulations.registry import FormulationConfig
from flow3r.losses.total import LossConfig
from flow3r.model.config import DecoderConfig, EncoderConfig, Pi3Config, TaskDecoderConfig
from flow3r.training.batches import BatchLoader
from flow3r.training.config import AugmentationConfig, StageConfig, TrainingConfig
from flow3r.training.loop import Hooks
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


@pytest.fixture
def model_config():
    return MODEL


@pytest.fixture
def training_config():
    return TRAINING


@pytest.fixture
def make_loader(make_store):
    """A function: seed, whether there are unlabelled clips, accumulate, a process' share of the
    batches, their composition -> a batch loader.
    """
    stores = {"source": make_store("source", 5, 1), "target": make_store("target", 6, 2)}

    def make(
        seed: int = 0,
        unlabelled: bool = True,
        accumulate: int = 1,
        share: Share = WHOLE,
        batch: BatchConfig | None = None,
    ) -> BatchLoader:
        pools = {
            "source": Pool.whole([stores["source"]]),
            "labelled": Pool.nested(stores["target"], 3, "labelled"),
            "unlabelled": Pool.whole([stores["target"]]) if unlabelled else Pool([], []),
        }
        config = batch or BatchConfig(2, 2, 2, accumulate=accumulate)
        plan = BatchPlan(config, seed, {name: len(pool) for name, pool in pools.items()}, share)
        return BatchLoader(plan, pools, AugmentationConfig(), "cpu")

    return make


@pytest.fixture
def make_objective():
    """A function: formulation, seed -> the objective of an untrained model."""

    def make(formulation: str = "flow-factored", seed: int = 0) -> RunObjective:
        model = build_model(MODEL, FormulationConfig(formulation), seed)
        losses = LossConfig(normals_weight=0.0, scale_samples=64)
        return RunObjective(model, losses, "float32")

    return make


@pytest.fixture
def make_hooks():
    """A function: stop after this many steps -> (hooks, logged metrics, saved states)."""

    def make(stop_after: int | None = None, save_every: int | None = None):
        logged, saved, steps = {}, [], [0]

        def after_step(step, stage):
            steps[0] = step

        hooks = Hooks(
            log=lambda step, stage, metrics: logged.__setitem__(step, metrics),
            after_step=after_step,
            validate=lambda step, stage: None,
            save=lambda state: saved.append(copy.deepcopy(state)),
            save_due=lambda: save_every is not None and steps[0] % save_every == 0,
            should_stop=lambda: steps[0] == stop_after,
            log_every=1,
            validate_every=1,
        )
        return hooks, logged, saved

    return make
