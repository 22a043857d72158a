"""The heads of VGGT against formulas written out, and its conventions."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.nn import functional

from flow3r.geometry.camera import recover_intrinsics, unproject
from flow3r.model.config import DenseHeadConfig, PoseHeadConfig
from flow3r.model.vggt.dense_head import DenseHead, decode_depth, decode_world_points
from flow3r.model.vggt.pose_encoding import FIELD_OF_VIEW_RANGE, decode_pose
from flow3r.model.vggt.pose_head import PoseHead

WIDTH = 8


def pose_head(iterations: int) -> PoseHead:
    config = PoseHeadConfig(depth=2, heads=2, iterations=iterations)
    head = PoseHead(config, WIDTH, norm_eps=1e-5, attention="sdpa")
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn_like(parameter) / WIDTH**0.5)
    return head


def normalise(x: torch.Tensor, eps: float) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()


def affine(norm: torch.nn.LayerNorm, x: torch.Tensor) -> torch.Tensor:
    return normalise(x, 1e-5) * norm.weight + norm.bias


def attend(attention, x: torch.Tensor) -> torch.Tensor:
    """One clip's frames [N, C], head by head and query by query."""
    q, k, v = (x @ attention.qkv.weight.T + attention.qkv.bias).chunk(3, dim=-1)
    size = WIDTH // attention.heads
    out = torch.zeros_like(x)
    for start in range(0, WIDTH, size):
        part = slice(start, start + size)
        for query in range(len(x)):
            scores = torch.stack([q[query, part] @ key / size**0.5 for key in k[:, part]])
            out[query, part] = sum(w * value for w, value in zip(scores.softmax(0), v[:, part]))
    return attention.proj(out)


def test_every_round_of_refinement_is_the_published_one():
    head, tokens = pose_head(3), torch.randn(2, 4, WIDTH)
    for clip, result in zip(tokens, head(tokens)):
        normed = affine(head.token_norm, clip)
        pose = None
        for _ in range(3):
            seen = head.empty_pose_tokens[0].expand(4, -1) if pose is None else pose
            embedded = seen @ head.embed_pose.weight.T + head.embed_pose.bias
            modulation = head.poseLN_modulation[1](embedded * torch.sigmoid(embedded))
            shift, scale, gate = modulation.chunk(3, dim=-1)
            x = gate * (normalise(normed, 1e-6) * (1 + scale) + shift) + normed
            for block in head.trunk:
                x = x + block.ls1.gamma * attend(block.attn, affine(block.norm1, x))
                x = x + block.ls2.gamma * block.mlp(affine(block.norm2, x))
            inner = head.pose_branch.fc1(affine(head.trunk_norm, x))
            inner = 0.5 * inner * (1 + torch.erf(inner / math.sqrt(2)))
            correction = head.pose_branch.fc2(inner)
            pose = correction if pose is None else pose + correction
        expected = torch.cat([pose[:, :7], pose[:, 7:].clamp(min=0)], dim=-1)
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_a_loss_on_the_last_pose_trains_the_first_round_too():
    head = pose_head(4)
    head(torch.randn(1, 3, WIDTH))[..., :7].square().sum().backward()
    assert head.empty_pose_tokens.grad.abs().sum() > 0  # read by the first round only


def test_decoded_poses_invert_camera_from_world():
    quaternion = torch.randn(2, 3, 4, dtype=torch.float64) * 3  # of any length
    encoding = torch.cat(
        [torch.randn(2, 3, 3, dtype=torch.float64), quaternion, torch.ones(2, 3, 2)], dim=-1
    )
    pose, _ = decode_pose(encoding, (48, 64))
    for b in range(2):
        for n in range(3):
            rotation = Rotation.from_quat(quaternion[b, n].numpy()).as_matrix()  # xyzw
            world_point = torch.randn(3, dtype=torch.float64)
            camera_point = torch.from_numpy(rotation) @ world_point + encoding[b, n, :3]
            back = pose[b, n, :3, :3] @ camera_point + pose[b, n, :3, 3]
            torch.testing.assert_close(back, world_point)


def test_the_field_of_view_spans_the_image_from_border_to_border():
    encoding = torch.zeros(1, 1, 9)
    encoding[..., 6], encoding[..., 7], encoding[..., 8] = 1.0, math.pi / 2, math.pi / 3
    _, intrinsics = decode_pose(encoding, (40, 60))
    expected = [[30 * math.sqrt(3), 0, 29.5], [0, 20, 19.5], [0, 0, 1]]
    torch.testing.assert_close(intrinsics[0, 0], torch.tensor(expected))
    points = unproject(torch.rand(1, 1, 40, 60) + 1, intrinsics)
    torch.testing.assert_close(recover_intrinsics(points), intrinsics, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 4.0])
def test_a_field_of_view_that_no_camera_has_stays_finite(angle):
    encoding = torch.zeros(1, 1, 9)
    encoding[..., 7:] = angle
    encoding.requires_grad_()  # the quaternion is zero too
    pose, intrinsics = decode_pose(encoding, (40, 60))
    limit = FIELD_OF_VIEW_RANGE[0] if angle == 0 else FIELD_OF_VIEW_RANGE[1]
    torch.testing.assert_close(
        intrinsics[0, 0, 1, 1].item(), 20 / math.tan(limit / 2), rtol=1e-3, atol=0
    )
    (pose.sum() + intrinsics.sum()).backward()
    assert encoding.grad.isfinite().all()


def test_activations_of_the_dense_heads():
    raw = torch.tensor([-2.0, -0.1, 0.0, 0.1, 2.0])
    torch.testing.assert_close(decode_depth(raw), raw.exp())
    expected = torch.tensor(
        [-(math.e**2) + 1, 1 - math.exp(0.1), 0, math.exp(0.1) - 1, math.e**2 - 1]
    )
    torch.testing.assert_close(decode_world_points(raw), expected)
    for decode in (decode_depth, decode_world_points):
        far = torch.tensor([200.0, -200.0], requires_grad=True)
        decoded = decode(far)
        decoded.sum().backward()
        assert decoded.isfinite().all()
        assert far.grad.isfinite().all()


def test_the_dense_head_normalises_its_tokens_once_for_all_levels():
    config = DenseHeadConfig(features=8, out_channels=(4, 4), ladder=(2.0, 1.0), hidden=4)
    head = DenseHead(config, WIDTH, outputs=2, norm_eps=1e-5)
    with torch.no_grad():
        head.norm.weight.copy_(torch.rand(WIDTH) + 0.5)
        head.norm.bias.copy_(torch.randn(WIDTH))
    levels = [torch.randn(3, 6, WIDTH) for _ in range(2)]
    seen = []
    for project in head.projects:
        project.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    out = head([5 * level + 2 for level in levels], (2, 3), (16, 24))
    assert out.shape == (3, 2, 16, 24)
    for maps, level in zip(seen, levels):
        expected = functional.layer_norm(level, (WIDTH,), head.norm.weight, head.norm.bias)
        torch.testing.assert_close(maps.flatten(2).mT, expected, rtol=1e-3, atol=1e-3)
