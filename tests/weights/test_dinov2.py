"""The DINOv2 encoder: its authors' names, timm's, and timm's numbers."""

import pytest
import torch

from flow3r.errors import DataError
from flow3r.model.config import EncoderConfig
from flow3r.model.encoder import PatchEncoder
from flow3r.weights.dinov2 import import_dinov2


def test_dinov2_fills_the_encoder_only(architecture, small, scrambled):
    model = small(architecture)
    state = scrambled(model.model.backbone.encoder.state_dict())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = import_dinov2(model.model, {**state, "mask_token": torch.zeros(1, 16)})
    assert report.left_out == {"mask_token": 1}
    for name, value in model.state_dict().items():
        inner = name.removeprefix("model.backbone.encoder.")
        assert torch.equal(value, state.get(inner, before[name])), name
    with pytest.raises(DataError, match="missing: cls_token"):
        import_dinov2(model.model, {k: v for k, v in state.items() if k != "cls_token"})


def timm_layout(state):
    """The same weights as timm stores them."""
    converted = {k: v for k, v in state.items() if k != "register_tokens"}
    converted["reg_token"] = state["register_tokens"]
    converted["cls_token"] = state["cls_token"] + state["pos_embed"][:, :1]
    converted["pos_embed"] = state["pos_embed"][:, 1:]
    return converted


def test_weights_in_timms_layout_compute_the_same(small, scrambled):
    first, second = small("pi3"), small("pi3")
    state = scrambled(first.model.backbone.encoder.state_dict())
    import_dinov2(first.model, state)
    report = import_dinov2(second.model, timm_layout(state))
    assert report.tensors == len(state)
    images = torch.rand(1, 2, 3, 14, 28)
    torch.testing.assert_close(first.model.encode(images), second.model.encode(images))


@pytest.mark.parametrize("size", [(518, 518), (56, 70)])  # native positions, resized ones
def test_our_blocks_compute_what_timms_do(size):
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("vit_small_patch14_reg4_dinov2", dynamic_img_size=True).eval()
    ours = PatchEncoder(EncoderConfig(384, 12, 6, 37), 14, 1e-6, "sdpa").eval()
    state = {
        name: 1 + 0.1 * torch.randn(value.shape)
        if value.ndim == 1 and name.endswith(("gamma", "weight"))
        else torch.randn(value.shape) / max(value[0].numel(), 1) ** 0.5
        for name, value in ours.state_dict().items()
    }
    ours.load_state_dict(state)
    theirs.load_state_dict(timm_layout(state))
    images = torch.rand(1, 3, *size)
    with torch.inference_mode():
        expected = theirs.forward_features(images)[:, theirs.num_prefix_tokens :]
        assert (ours(images) - expected).norm() / expected.norm() < 1e-5
