"""VGGT at its released size against what the released code computes."""

import pytest
import torch

from flow3r.model.config import vggt_large
from flow3r.model.vggt.model import VggtModel
from flow3r.model.vggt.names import UNUSED, released_name

pytestmark = [pytest.mark.parity, pytest.mark.slow]

TOLERANCE = 1e-4


def test_every_output_of_the_released_vggt(
    weights_rule, without_initial_weights, parity_images, parity_reference, relative_error
):
    model = VggtModel(vggt_large()).eval()
    state = {released_name(name): tensor for name, tensor in model.state_dict().items()}
    weights_rule.fill_by_rule(state, absent=UNUSED)
    seen = {}
    model.camera_head.register_forward_hook(lambda m, i, o: seen.update(pose_enc=o))
    with torch.inference_mode():
        _, geometry = model(parity_images)
    outputs = {
        "out_pose_enc": seen["pose_enc"],
        "out_depth": geometry.local_points[..., 2:],
        "out_depth_conf": 1 + geometry.depth_confidence.exp(),
        "out_world_points": geometry.points,
        "out_world_points_conf": 1 + geometry.confidence.exp(),
    }
    reference = parity_reference("vggt_1x3x56x70_seed1.npz")
    errors = {name: relative_error(value, reference[name]) for name, value in outputs.items()}
    print(errors)
    assert set(outputs) == {name for name in reference if name.startswith("out_")}
    assert max(errors.values()) < TOLERANCE, errors
