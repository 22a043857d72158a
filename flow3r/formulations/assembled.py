"""The assembled model: reconstruction plus one formulation, built from separate random streams."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flow3r.formulations.base import Formulation, check_pairs
from flow3r.formulations.registry import FormulationConfig, create_formulation
from flow3r.model.config import ModelConfig
from flow3r.model.outputs import Flow, Geometry, Latents, Prediction
from flow3r.model.precision import reduced_precision
from flow3r.model.reconstruction import ReconstructionModel, create_reconstruction
from flow3r.streams import stream_seed


class Flow3r(nn.Module):
    """Reconstruction and flow. `model` is the same in every formulation; `formulation` differs."""

    def __init__(self, model: ReconstructionModel, formulation: Formulation) -> None:
        super().__init__()
        self.model = model
        self.formulation = formulation
        self.compute_dtype = torch.float32
        """bfloat16 or float16: forward runs under autocast to it; the heads stay in float32."""

    def forward(
        self, images: Tensor, pairs: Tensor | None = None, intrinsics: Tensor | None = None
    ) -> Prediction:
        """Images [B, N, 3, H, W] in [0, 1]; pairs (source, target), [P, 2] shared by the clips or
        [B, P, 2]; intrinsics [B, N, 3, 3] where they are known. The flow head runs only when pairs
        are given.
        """
        with reduced_precision(images, self.compute_dtype):
            latents, geometry = self.model(images)
            flow = None if pairs is None else self.flow(latents, geometry, pairs, intrinsics)
        return Prediction(latents=latents, geometry=geometry, flow=flow)

    def flow(
        self,
        latents: Latents,
        geometry: Geometry,
        pairs: Tensor,
        intrinsics: Tensor | None = None,
    ) -> Flow | None:
        """The flow head alone, e.g. on some clips of a batch (`latents.clips(slice(...))`)."""
        if pairs.device.type == "cpu":  # looking at values on an accelerator would stall it
            check_pairs(pairs, *latents.patches.shape[:2])
        return self.formulation(latents, geometry, pairs, intrinsics)


def build_model(config: ModelConfig, formulation: FormulationConfig, seed: int) -> Flow3r:
    """Build with initial weights that depend on the seed only.

    Backbone and geometry heads are drawn from the stream `model`, the flow head from
    `formulation/<name>`: the former are bit-identical in every formulation. The global random
    state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "model"))
        model = create_reconstruction(config)
        torch.manual_seed(stream_seed(seed, f"formulation/{formulation.name}"))
        head = create_formulation(formulation.name, formulation.options, config.latents)
    return Flow3r(model, head)
