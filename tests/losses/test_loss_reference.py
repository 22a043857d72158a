"""Every loss against a slow reference written from the description of pi3's losses."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from flow3r.data.clip import LabelledClips, PairFlow
from flow3r.geometry.camera import unproject
from flow3r.geometry.se3 import make_transform
from flow3r.losses import alignment
from flow3r.losses.total import LossConfig, supervised_loss
from flow3r.model.outputs import Geometry

B, N, H, W = 2, 3, 6, 7
CONFIG = LossConfig(translation_direction_weight=0.5)
FIELDS = {
    "points": "points_weight",
    "normals": "normals_weight",
    "confidence": "confidence_weight",
    "camera_rotation": "rotation_weight",
    "camera_translation": "translation_weight",
    "camera_translation_direction": "translation_direction_weight",
}
GRADIENTS = {
    "points": 1,  # to the points
    "normals": 1,  # to the points
    "confidence": 1,  # to the logits: its label is constant
    "camera_rotation": 1,  # to the poses
    "camera_translation": 2,  # to the poses, and to the points through the common scale
    "camera_translation_direction": 2,  # the same: `direction_min_length` knows the scale
}
"""To how many of points, logits and poses each term has a gradient."""


def _poses(generator: torch.Generator, spread: float) -> torch.Tensor:
    vectors = spread * torch.randn(B * N, 3, generator=generator, dtype=torch.float64)
    rotation = torch.from_numpy(Rotation.from_rotvec(vectors.numpy()).as_matrix())
    shift = torch.randn(B, N, 3, generator=generator, dtype=torch.float64)
    return make_transform(rotation.reshape(B, N, 3, 3), shift)


def _clips(generator: torch.Generator) -> LabelledClips:
    ramp = torch.linspace(0, 0.1, H * W, dtype=torch.float64).reshape(H, W)
    depth = 2 + ramp + 0.02 * torch.rand(B, N, H, W, generator=generator, dtype=torch.float64)
    depth[:, :, :2, 3:] += 1.0  # a depth edge
    depth[0, 1, 2:4, 1] = 0.0
    depth[1, 0, 0, 0] = torch.inf
    depth[1, 2, 5, 5] = torch.nan
    depth[1, 2, 0, 0] = 1e-3  # nearer than the floor of the weight
    k = torch.tensor([[8.0, 0, 3], [0, 8, 2.5], [0, 0, 1]], dtype=torch.float64)
    return LabelledClips(
        images=torch.zeros(B, N, 3, H, W),
        depth=depth,
        intrinsics=k.expand(B, N, 3, 3),
        world_from_camera=_poses(generator, 0.3),
        flow=PairFlow(
            torch.zeros(0, 2).long(), torch.zeros(B, 0, H, W, 2), torch.zeros(B, 0, H, W)
        ),
    )


@pytest.fixture(scope="module")
def scene() -> tuple[Geometry, LabelledClips]:
    generator = torch.Generator().manual_seed(0)
    clips = _clips(generator)
    points = unproject(clips.depth.nan_to_num(2.0, 2.0), clips.intrinsics)
    noise = torch.randn(points.shape, generator=generator, dtype=torch.float64)
    geometry = Geometry(
        local_points=0.6 * points + 0.01 * noise,
        confidence=torch.randn(B, N, H, W, generator=generator, dtype=torch.float64),
        world_from_camera=_poses(generator, 0.4),
    )
    return geometry, clips


def _best_scale(p: np.ndarray, g: np.ndarray, w: np.ndarray) -> float:
    candidates = (g / p).ravel()
    return min(candidates, key=lambda s: (w[:, None] * np.abs(s * p - g)).sum())


def _clip_reference(geometry: Geometry, clips: LabelledClips, b: int) -> dict:
    """One clip in normalised units, in numpy and with loops."""
    depth = clips.depth[b].numpy()
    valid = np.isfinite(depth) & (depth > 0)
    k, pose = clips.intrinsics[b].numpy(), clips.world_from_camera[b].numpy()
    gt = np.zeros((N, H, W, 3))
    for n, y, x in zip(*np.nonzero(valid)):
        gt[n, y, x] = depth[n, y, x] * np.linalg.inv(k[n]) @ [x, y, 1]
    to_first = [np.linalg.inv(pose[0]) @ pose[n] for n in range(N)]
    world = [
        to_first[n][:3, :3] @ gt[n, y, x] + to_first[n][:3, 3] for n, y, x in np.argwhere(valid)
    ]
    norm = np.linalg.norm(world, axis=1).mean()
    gt, gt_pose = gt / norm, [np.array(p) for p in to_first]
    for p in gt_pose:
        p[:3, 3] /= norm
    prediction = geometry.local_points[b].detach().numpy()
    own = np.linalg.norm(prediction[valid], axis=1).mean()
    prediction = prediction / own
    weight = np.zeros((N, H, W))
    for n in range(N):
        z = gt[n, ..., 2]
        weight[n] = valid[n] / (np.maximum(z, 0.1 * z[valid[n]].mean()) + 1e-6)
    scale = _best_scale(prediction[valid], gt[valid], weight[valid])
    pred_pose = geometry.world_from_camera[b].detach().numpy().copy()
    pred_pose[:, :3, 3] *= scale / own
    return {
        "valid": valid, "gt": gt, "gt_pose": gt_pose, "weight": weight,
        "prediction": scale * prediction, "pred_pose": pred_pose,
    }  # fmt: skip


def _normal_sum(c: dict) -> float:
    total = 0.0
    for n in range(N):
        z, valid = c["gt"][n, ..., 2], c["valid"][n]
        usable = valid.copy()
        for y, x in np.argwhere(valid):
            window = (slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2))
            near = z[window][valid[window]]
            usable[y, x] = (near.max() - near.min()) / z[y, x] <= 0.03
        for y in range(H - 1):
            for x in range(W - 1):
                # corner, and its neighbours in the order that keeps the normal's side
                cell = [(y, x), (y, x + 1), (y + 1, x + 1), (y + 1, x)]
                for i in range(4):
                    corner, after, before = cell[i], cell[(i + 1) % 4], cell[i - 1]
                    if not (usable[corner] and usable[after] and usable[before]):
                        continue
                    normals = []
                    for points in (c["prediction"][n], c["gt"][n]):
                        normals.append(
                            np.cross(
                                points[after] - points[corner], points[before] - points[corner]
                            )
                        )
                    sine = np.linalg.norm(np.cross(*normals))
                    angle = np.clip(
                        math.atan2(sine, normals[0] @ normals[1]), math.radians(1), math.pi / 2
                    )
                    beta = math.radians(3)
                    total += 0.5 * angle**2 / beta if angle < beta else angle - beta / 2
    return total


def _camera_errors(c: dict) -> list[tuple[float, float, float]]:
    errors = []
    for i, j in permutations(range(N), 2):
        pred = np.linalg.inv(c["pred_pose"][i]) @ c["pred_pose"][j]
        true = np.linalg.inv(c["gt_pose"][i]) @ c["gt_pose"][j]
        angle = Rotation.from_matrix(pred[:3, :3].T @ true[:3, :3]).magnitude()
        e = np.abs(pred[:3, 3] - true[:3, 3])
        huber = np.where(e < 0.1, 0.5 * e**2, 0.1 * (e - 0.05)).mean()
        a, b = pred[:3, 3], true[:3, 3]
        errors.append((angle, huber, 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    return errors


def _reference(geometry: Geometry, clips: LabelledClips) -> dict[str, float]:
    each = [_clip_reference(geometry, clips, b) for b in range(B)]
    valid = np.stack([c["valid"] for c in each])
    error = np.stack(
        [(c["weight"][..., None] * np.abs(c["prediction"] - c["gt"])).mean(-1) for c in each]
    )
    logit = geometry.confidence.detach().numpy()
    probability = 1 / (1 + np.exp(-logit))
    entropy = -np.log(np.where(error < 0.02, probability, 1 - probability))
    cameras = np.array([e for c in each for e in _camera_errors(c)]).mean(axis=0)
    cells = B * N * (H - 1) * (W - 1)
    return {
        "points": error[valid].mean(),
        "normals": sum(_normal_sum(c) for c in each) / cells / (4 * max(H, W)),
        "confidence": entropy[valid].mean(),
        "camera_rotation": cameras[0],
        "camera_translation": cameras[1],
        "camera_translation_direction": cameras[2],
    }


def test_every_term_equals_the_reference(scene):
    actual = supervised_loss(*scene, CONFIG)
    expected = _reference(*scene)
    assert set(actual) == {*expected, "total"}
    for name, value in expected.items():
        assert actual[name].item() == pytest.approx(value, rel=1e-4), name
    total = sum(getattr(CONFIG, FIELDS[name]) * value for name, value in expected.items())
    assert actual["total"].item() == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("term", list(FIELDS))
def test_gradient_of_every_term_by_finite_differences(scene, term, monkeypatch):
    geometry, clips = scene
    _hold_the_scale_constant(monkeypatch, geometry, clips)
    config = LossConfig(**{FIELDS[name]: float(name == term) for name in FIELDS})
    leaves = [
        leaf.clone().requires_grad_()
        for leaf in (geometry.local_points, geometry.confidence, geometry.world_from_camera)
    ]
    supervised_loss(Geometry(*leaves), clips, config)["total"].backward()
    generator = torch.Generator().manual_seed(1)
    compared = 0
    for leaf in leaves:
        if leaf.grad is None:
            continue
        step = 1e-6 * torch.randn(leaf.shape, generator=generator, dtype=torch.float64)
        values = []
        for sign in (1, -1):
            shifted = [x.detach() + sign * step if x is leaf else x.detach() for x in leaves]
            values.append(supervised_loss(Geometry(*shifted), clips, config)["total"].item())
        expected = (leaf.grad * step).sum().item()
        assert (values[0] - values[1]) / 2 == pytest.approx(expected, rel=1e-3, abs=1e-13)
        compared += expected != 0
    assert compared == GRADIENTS[term]


def _hold_the_scale_constant(
    monkeypatch: pytest.MonkeyPatch, geometry: Geometry, clips: LabelledClips
) -> None:
    """Freeze the scale of the normalised prediction, as the losses' gradient does.

    A little off the optimum, where one coordinate per clip sits on the kink of its L1 term.
    """

    def mean(points: torch.Tensor, target: alignment.Target) -> torch.Tensor:
        return (points.norm(dim=0) * target.valid).sum(dim=(1, 2, 3)) / target.count

    points, target = (
        geometry.local_points.movedim(-1, 0),
        alignment.normalised_target(clips, CONFIG),
    )
    best = alignment._sampled_scale(points, target, CONFIG.scale_samples)
    constant = 1.01 * best * mean(points, target)
    monkeypatch.setattr(
        alignment, "_sampled_scale", lambda points, target, _: constant / mean(points, target)
    )
