"""From a prediction that is known to the reconstruction, without and with a real model."""

import numpy as np
import pytest
import torch
from torch import nn

import flow3r
from flow3r.errors import ConfigError, DataError
from flow3r.geometry.camera import pixel_grid, recover_intrinsics, unproject
from flow3r.inference.frames import Frames
from flow3r.inference.masks import depth_edges
from flow3r.inference.precision import choose_precision
from flow3r.inference.reconstruct import (
    ReconstructionSettings,
    edge_tolerance,
    reconstruct,
)
from flow3r.model.outputs import Flow, Geometry, Prediction

SIZE = (6, 8)
K = torch.tensor([[8.0, 0, 3.5], [0, 8.0, 2.5], [0, 0, 1]])
TURN = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # by 90 degrees about y


class KnownModel(nn.Module):
    """Predicts the same whatever it sees: depth 2 with a step to 4, logits, flow of (3, -1)."""

    def __init__(self, with_flow: bool = True, bad: str = "") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.compute_dtype = torch.float32
        self.with_flow, self.bad = with_flow, bad
        self.pairs_seen: list = []

    def forward(self, images):
        assert images.dtype == torch.float32
        assert float(images.min()) >= 0
        assert float(images.max()) <= 1
        frames = images.shape[1]
        depth = torch.full((1, frames, *SIZE), 2.0)
        depth[..., 5:] = 4.0
        poses = torch.eye(4).repeat(1, frames, 1, 1)
        poses[..., :3, :3] = TURN
        poses[..., :3, 3] = torch.stack([torch.tensor([10.0, 5 + n, 1]) for n in range(frames)])
        logits = torch.linspace(-4, 4, frames * SIZE[0] * SIZE[1]).view(1, frames, *SIZE)
        if self.bad == "depth":
            depth[0, 0, 0, 0] = torch.nan
        points = unproject(depth, K.expand(1, frames, 3, 3))
        return Prediction(None, Geometry(points, logits, poses), None)

    def flow(self, latents, geometry, pairs, intrinsics=None):
        self.pairs_seen += pairs.tolist()
        if not self.with_flow:
            return None
        target = pixel_grid(*SIZE) + torch.tensor([3.0, -1.0])
        valid = torch.ones(SIZE, dtype=torch.bool)
        valid[0, 0] = False
        return Flow(target[None, None], valid[None, None])


def frames_of(count: int) -> Frames:
    images = np.random.default_rng(0).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)
    names = tuple(f"{n}.png" for n in range(count))
    return Frames(images, names, tuple(range(count)), SIZE, count)


def test_the_world_is_the_first_cameras_frame():
    frames = frames_of(3)
    result = reconstruct(KnownModel(), frames, ReconstructionSettings())
    assert result.world_from_camera[0] == pytest.approx(np.eye(4), abs=1e-6)
    # The cameras are turned alike and 1 apart along y, which the turn leaves alone.
    assert result.world_from_camera[2, :3, :3] == pytest.approx(np.eye(3), abs=1e-6)
    assert result.world_from_camera[:, :3, 3] == pytest.approx(
        np.array([[0, 0, 0], [0, 1, 0], [0, 2, 0.0]]), abs=1e-5
    )
    local = unproject(torch.from_numpy(result.depth), K.expand(3, 3, 3)).numpy()
    assert result.world_points[0] == pytest.approx(local[0], abs=1e-5)
    assert result.world_points[2] == pytest.approx(local[2] + [0, 2, 0], abs=1e-5)
    expected = recover_intrinsics(torch.from_numpy(local)).numpy()
    assert result.intrinsics == pytest.approx(expected, abs=1e-4)
    assert result.images is frames.images
    assert result.names == frames.names


def test_confidence_is_the_sigmoid_and_zero_at_edges():
    settings = ReconstructionSettings(confidence=0.5)
    result = reconstruct(KnownModel(), frames_of(2), settings)
    logits = np.linspace(-4, 4, 2 * 6 * 8).reshape(2, 6, 8)
    expected = 1 / (1 + np.exp(-logits))
    expected[..., 4:6] = 0  # on both sides of the step
    assert result.confidence == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(result.keep, expected > 0.5)
    assert result.points.shape == (int((expected > 0.5).sum()), 3)


def test_a_wide_tolerance_leaves_the_step_alone():
    result = reconstruct(KnownModel(), frames_of(1), ReconstructionSettings(0.0, edge=1.01))
    assert result.keep.all()


def test_a_threshold_of_zero_still_drops_edges():
    result = reconstruct(KnownModel(), frames_of(1), ReconstructionSettings(0.0))
    assert not result.keep[..., 4:6].any()
    assert result.keep[..., :4].all()


def test_flow_is_the_displacement_between_neighbours():
    model = KnownModel()
    result = reconstruct(model, frames_of(3), ReconstructionSettings())
    assert model.pairs_seen == [[0, 1], [1, 2]]
    assert result.flow_px.shape == (2, *SIZE, 2)
    assert np.isnan(result.flow_px[:, 0, 0]).all()
    assert result.flow_px[:, 1:] == pytest.approx(np.tile([3.0, -1.0], (2, 5, 8, 1)), abs=1e-6)


def test_without_a_flow_head_or_a_second_frame_there_is_no_flow():
    settings = ReconstructionSettings()
    assert reconstruct(KnownModel(with_flow=False), frames_of(3), settings).flow_px is None
    assert reconstruct(KnownModel(), frames_of(1), settings).flow_px is None
    model = KnownModel()
    reconstruct(model, frames_of(3), ReconstructionSettings(with_flow=False))
    assert model.pairs_seen == []


def test_a_prediction_that_is_not_finite_is_an_error():
    model = KnownModel(bad="depth")
    with pytest.raises(DataError, match=r"the predicted depth is not finite$"):
        reconstruct(model, frames_of(1), ReconstructionSettings())
    model.compute_dtype = torch.float16
    with pytest.raises(DataError, match=r"\(torch.float16\); try precision=float32"):
        reconstruct(model, frames_of(1), ReconstructionSettings())


def test_depth_edges_against_a_loop():
    depth = torch.rand(2, 7, 9) + 1
    found = depth_edges(depth, 0.5)
    for n in range(2):
        for y in range(7):
            for x in range(9):
                window = depth[n, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
                jump = float((window.max() - window.min()) / depth[n, y, x])
                assert bool(found[n, y, x]) == (jump > 0.5)


def test_the_edge_tolerance_grows_with_the_angle_of_a_pixel():
    assert edge_tolerance(255_000) == pytest.approx(0.03)
    # A quarter of the pixels: each side of a pixel covers twice the angle.
    assert edge_tolerance(255_000 // 4) == pytest.approx(0.06)


def test_precision_follows_the_device(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert choose_precision("auto", cpu) == torch.float32
    assert choose_precision("bfloat16", cpu) == torch.bfloat16
    for capability, expected in (((7, 5), torch.float16), ((8, 0), torch.bfloat16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_, c=capability: c)
        assert choose_precision("auto", cuda) == expected
    with pytest.raises(ConfigError, match=r"precision='int8' .* 'float16'\]"):
        choose_precision("int8", cpu)


@pytest.mark.parametrize(
    ("settings", "message"), [({"confidence": 1.0}, "confidence=1.0"), ({"edge": 0}, "edge=0")]
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        ReconstructionSettings(**settings)


@pytest.mark.parametrize("preset", ["pi3-smoke", "vggt-smoke"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_real_model_with_progress(preset, dtype):
    model = flow3r.create_model(preset, "flow-factored", seed=0).eval()
    model.compute_dtype = dtype
    patch = model.model.config.patch_size
    size = (2 * patch, 3 * patch)
    images = np.random.default_rng(0).integers(0, 256, (3, *size, 3), dtype=np.uint8)
    frames = Frames(images, ("a", "b", "c"), (0, 1, 2), size, 3)
    told: list[tuple] = []
    result = reconstruct(
        model, frames, ReconstructionSettings(0.0), lambda *values: told.append(values)
    )
    assert result.depth.shape == (3, *size)
    assert result.flow_px.shape == (2, *size, 2)
    assert result.depth.dtype == np.float32
    steps = [(done, total) for what, done, total in told if what == "model"]
    assert steps[-1][0] == steps[-1][1] == len(steps)
    assert [t for t in told if t[0] == "flow"] == [("flow", 1, 2), ("flow", 2, 2)]
    assert not any(m._forward_hooks for m in model.modules())
    # The prediction itself, moved to the first camera.
    with torch.inference_mode():
        prediction = model(torch.from_numpy(images).permute(0, 3, 1, 2)[None].float() / 255)
    first = torch.linalg.inv(prediction.world_from_camera[0, 0].double())
    points = prediction.points[0].double() @ first[:3, :3].T + first[:3, 3]
    assert result.world_points == pytest.approx(points.float().numpy(), rel=1e-3, abs=1e-4)


def test_vggts_own_points_and_intrinsics_are_used():
    own = torch.rand(1, 2, *SIZE, 3)
    known = KnownModel()
    geometry = known(torch.rand(1, 2, 3, *SIZE)).geometry
    geometry = Geometry(
        geometry.local_points,
        geometry.confidence,
        torch.eye(4).repeat(1, 2, 1, 1),
        predicted_points=own,
        predicted_intrinsics=2 * torch.eye(3).repeat(1, 2, 1, 1),
    )
    known.forward = lambda images: Prediction(None, geometry, None)
    result = reconstruct(known, frames_of(2), ReconstructionSettings(with_flow=False))
    assert result.world_points == pytest.approx(own[0].numpy())
    assert result.intrinsics == pytest.approx(2 * np.tile(np.eye(3), (2, 1, 1)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("auto", 0.1)])
def test_a_gpu_gives_what_a_cpu_gives(precision, tolerance):
    frames = Frames(np.full((2, 28, 42, 3), 99, np.uint8), ("a", "b"), (0, 1), (28, 42), 2)
    model = flow3r.create_model("pi3-small", "flow-factored", seed=0).eval()
    expected = reconstruct(model, frames, ReconstructionSettings(0.0))
    model = model.to("cuda")
    model.compute_dtype = choose_precision(precision, torch.device("cuda"))
    found = reconstruct(model, frames, ReconstructionSettings(0.0))
    assert found.depth == pytest.approx(expected.depth, rel=tolerance)
    assert found.flow_px == pytest.approx(expected.flow_px, abs=42 * tolerance)
