"""Flow3r (pi3 backbone) at its released size against what the released code computes."""

import pytest
import torch

import flow3r
from flow3r.geometry.flow import ndc_from_px
from flow3r.weights.layouts import released_names

pytestmark = [pytest.mark.parity, pytest.mark.slow]

TOLERANCE = 1e-4
SIZE = (56, 70)
EVERY = 37  # the reference holds every 37th value of a stage
DECODERS = ("point_decoder", "conf_decoder", "camera_decoder")


@pytest.fixture
def model(weights_rule):
    """Weights by the rule, imported as a released state dict is."""
    with torch.device("meta"):
        model = flow3r.create_model("pi3-large").eval()
    kept = weights_rule.UNTOUCHED
    state = {name: torch.empty(like.shape) for name, like in released_shapes(model).items()}
    state |= {name: getattr(model.model.backbone, name) for name in kept}
    weights_rule.fill_by_rule(state, damped=weights_rule.DAMPED)
    report = flow3r.import_released(model, state)
    assert (report.tensors, report.elements) == (1278, 1_001_053_700)
    return model


def released_shapes(model):
    """The released tensors, on the meta device."""
    ours = model.state_dict()
    return {name: ours[our_name] for name, our_name in released_names(model).items()}


@pytest.fixture
def stages(model):
    """What the encoder and the task decoders compute, filled by a forward pass."""
    seen = {}
    encoder = model.model.backbone.encoder
    encoder.register_forward_hook(lambda m, i, o: seen.update(stage_encoder=o))
    for name in DECODERS:
        decoder = getattr(model.model, name)

        def keep(module, inputs, output, name=name, decoder=decoder):
            # Ours drops the registers before the last layer, the released code after it.
            seen[f"stage_{name}"] = decoder.linear_out(output)

        decoder.blocks[-1].register_forward_hook(keep)
    return seen


def test_every_output_and_stage_of_the_released_flow3r(
    model, stages, parity_images, parity_reference, relative_error
):
    reference = parity_reference("flow3r_1x3x56x70_seed1.npz")
    pairs = reference.pop("pairs")
    with torch.inference_mode():
        prediction = model(parity_images, pairs)
    computed = {name: value.flatten()[::EVERY] for name, value in stages.items()}
    computed |= {
        "out_points": prediction.points,
        "out_local_points": prediction.local_points,
        "out_conf": prediction.confidence[..., None],
        "out_camera_poses": prediction.world_from_camera,
        "out_flow": ndc_from_px(prediction.flow.target_px, SIZE),
    }
    errors = {name: relative_error(computed[name], reference[name]) for name in reference}
    print(errors)
    assert max(errors.values()) < TOLERANCE, errors
