"""RAFT and UFM adapters against fake networks of the same interface; no weights, no packages."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from flow3r.errors import ConfigError, DataError
from flow3r.geometry.camera import pixel_grid
from flow3r.teachers.raft import RaftConfig, RaftTeacher
from flow3r.teachers.registry import make_teacher
from flow3r.teachers.ufm import UfmConfig, UfmTeacher

HEIGHT, WIDTH = 90, 120
STEP = torch.tensor([6.0, -3.0])  # pixels of the frames, per frame


def coded_frames(count=3):
    """Frames that hold their number in red; the fakes read the motion off it."""
    frames = torch.full((count, 3, HEIGHT, WIDTH), 100, dtype=torch.uint8)
    frames[:, 0] = (20 * torch.arange(count))[:, None, None]
    return frames


def numbers(images, scale):
    return (images[:, 0].float().mean((1, 2)) * scale / 20).round()


def translation(source, target, scale, shape):
    """[P, 2, h, w]: STEP per frame, in pixels of the network's size."""
    gap = numbers(target, scale) - numbers(source, scale)
    factor = torch.tensor([shape[1] / WIDTH, shape[0] / HEIGHT])
    flow = gap[:, None] * STEP * factor
    return flow[:, :, None, None].expand(-1, -1, *shape).clone()


class FakeRaft(nn.Module):
    """torchvision's interface: images in [-1, 1], sides in multiples of 8, a list of updates."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, image1, image2, num_flow_updates=12):
        assert image1.dtype == torch.float32
        assert image1.shape == image2.shape
        assert image1.shape[-2] % 8 == image1.shape[-1] % 8 == 0
        assert min(image1.shape[-2:]) >= 128
        assert -1 <= float(image1.min()) < 0  # [-1, 1], not [0, 1] or [0, 255]
        assert float(image1.max()) <= 1
        self.seen.append(tuple(image1.shape))
        pixels = [(image * 0.5 + 0.5) * 255 for image in (image1, image2)]
        flow = translation(*pixels, 1.0, image1.shape[-2:])
        return [torch.full_like(flow, 1e3)] * (num_flow_updates - 1) + [flow]


class FakeUfm(nn.Module):
    """predict_correspondences_batched of uniflowmatch: uint8 [B, 3, H, W], covisible left half."""

    def __init__(self, size=(420, 560)):
        super().__init__()
        self.size = size

    def predict_correspondences_batched(self, source_image, target_image, data_norm_type=None):
        assert source_image.dtype == target_image.dtype == torch.uint8
        assert source_image.shape[1:] == target_image.shape[1:] == (3, *self.size)
        assert data_norm_type is None
        flow = translation(source_image, target_image, 1.0, self.size)
        mask = torch.full((len(flow), *self.size), 0.2)
        mask[:, :, : self.size[1] // 2] = 0.9
        return SimpleNamespace(
            flow=SimpleNamespace(flow_output=flow), covisibility=SimpleNamespace(mask=mask)
        )


def raft(fake=None, **settings):
    return RaftTeacher(RaftConfig(**settings), build=lambda config: fake or FakeRaft())


def ufm(**settings):
    config = UfmConfig(**settings)
    return UfmTeacher(config, build=lambda config: FakeUfm(config.size))


PAIRS = torch.tensor([[0, 1], [1, 0], [0, 2], [2, 1], [1, 2]])


@pytest.mark.parametrize("settings", [{}, {"short_side": 256}, {"batch": 1}, {"batch": 64}])
def test_raft_gives_target_pixels_of_the_frames_at_any_inner_size(settings):
    labels = raft(**settings).label(coded_frames(), PAIRS)
    check_translation(labels)
    target = labels.target_px
    inside = (target[..., 0] < WIDTH - 0.5) & (target[..., 0] >= -0.5)
    inside &= (target[..., 1] < HEIGHT - 0.5) & (target[..., 1] >= -0.5)
    assert torch.equal(labels.covisibility.bool(), inside)  # flow both ways agrees everywhere


@pytest.mark.parametrize("size", [(420, 560), (90, 120), (252, 252)])
def test_ufm_gives_target_pixels_and_the_models_mask(size):
    labels = ufm(size=size).label(coded_frames(), PAIRS)
    check_translation(labels)
    assert labels.covisibility[0, 40, : WIDTH // 2 - 3].allclose(torch.tensor(0.9), atol=1e-3)
    assert (labels.covisibility[:, :, WIDTH // 2 + 3 :] == 0).all()  # below the threshold
    assert (labels.covisibility[0, :3, :10] == 0).all()  # the target is outside: y = -3 ...


def check_translation(labels):
    assert labels.target_px.shape == (len(PAIRS), HEIGHT, WIDTH, 2)
    assert labels.covisibility.shape == (len(PAIRS), HEIGHT, WIDTH)
    assert labels.target_px.dtype == labels.covisibility.dtype == torch.float32
    assert labels.covisibility.min() >= 0
    assert labels.covisibility.max() <= 1
    grid = pixel_grid(HEIGHT, WIDTH)
    for found, (source, target) in zip(labels.target_px, PAIRS.tolist()):
        expected = grid + (target - source) * STEP
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_raft_works_at_the_least_multiple_of_8_it_can():
    fake = FakeRaft()
    raft(fake).label(coded_frames(), PAIRS[:1])
    assert fake.seen == [(2, 3, 128, 168)]  # 90 -> 128, 120 -> 171 -> 168


def test_raft_drops_what_does_not_come_back():
    class OneWay(FakeRaft):
        def forward(self, image1, image2, num_flow_updates=12):
            flow = super().forward(image1, image2, num_flow_updates)[-1]
            flow[1:, :, :, : flow.shape[-1] // 2] += 20  # the way back is wrong on the left
            return [flow]

    mask = raft(OneWay()).label(coded_frames(), PAIRS[:1]).covisibility[0]
    assert (mask[10:-10, : WIDTH // 2 - 15] == 0).all()
    assert (mask[10:-10, WIDTH // 2 + 5 : -8] == 1).all()


@pytest.mark.parametrize("make", [raft, ufm])
def test_float_frames_and_no_pairs(make):
    frames = coded_frames()
    a, b = make().label(frames, PAIRS), make().label(frames.float() / 255, PAIRS)
    torch.testing.assert_close(a.target_px, b.target_px)
    assert make().label(frames, PAIRS[:0]).target_px.shape == (0, HEIGHT, WIDTH, 2)
    with pytest.raises(DataError, match="outside the 3 frames"):
        make().label(frames, torch.tensor([[0, 3]]))


@pytest.mark.parametrize("name", ["raft", "ufm"])
def test_absent_weights_say_where_to_put_them(name):
    with pytest.raises(ConfigError, match="weights=PATH"):
        make_teacher(name).label(coded_frames(), PAIRS)
    with pytest.raises(ConfigError, match=r"/absent/file\.pth.*no"):
        make_teacher(name, {"weights": "/absent/file.pth"}).label(coded_frames(), PAIRS)


@pytest.mark.parametrize(
    ("name", "module", "advice"),
    [
        ("raft", "torchvision.models", r"pip install 'flow3r-harness\[teachers\]'"),
        ("ufm", "uniflowmatch.models", "pip install -e UFM"),
    ],
)
def test_absent_packages_say_what_to_install(tmp_path, monkeypatch, name, module, advice):
    weights = tmp_path / "weights.pth"
    torch.save({}, weights)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, module.split(".")[0], None)
    with pytest.raises(ConfigError, match=advice):
        make_teacher(name, {"weights": str(weights)}).label(coded_frames(), PAIRS)


@pytest.mark.parametrize("name", ["raft", "ufm"])
def test_the_same_weights_elsewhere_are_the_same_teacher(tmp_path, name):
    for folder, content in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / folder).mkdir()
        torch.save({"w": torch.tensor(content)}, tmp_path / folder / "w.pth")
    a, b, c = (make_teacher(name, {"weights": str(tmp_path / f / "w.pth")}) for f in "abc")
    assert a.settings == b.settings != c.settings
    assert make_teacher(name, {"device": "cuda"}).settings == make_teacher(name).settings


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("raft", {"variant": "raft_tiny"}),
        ("raft", {"short_side": 64}),
        ("raft", {"updates": 0}),
        ("ufm", {"variant": "huge"}),
        ("ufm", {"threshold": 2.0}),
    ],
)
def test_bad_settings_are_refused(name, settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        make_teacher(name, settings)


def test_ufm_reads_a_checkpoint_without_running_code_in_it(tmp_path, monkeypatch):
    class Network(FakeUfm):
        def __init__(self, width):
            super().__init__()
            self.layer = nn.Linear(width, 1)

    module = SimpleNamespace(UniFlowMatchConfidence=Network)
    monkeypatch.setitem(sys.modules, "uniflowmatch", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "uniflowmatch.models", SimpleNamespace(ufm=module))
    monkeypatch.setitem(sys.modules, "uniflowmatch.models.ufm", module)
    path = tmp_path / "ufm.pth"
    torch.save({"model_args": {"width": 3}, "model": Network(3).state_dict()}, path)
    check_translation(make_teacher("ufm", {"weights": str(path)}).label(coded_frames(), PAIRS))
    torch.save({"other": 1}, path)
    with pytest.raises(ConfigError, match="no UFM checkpoint"):
        make_teacher("ufm", {"weights": str(path)}).label(coded_frames(), PAIRS)
