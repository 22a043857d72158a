"""Teachers by name, and the two that use the truth."""

import pytest
import torch

from flow3r.errors import ConfigError, DataError
from flow3r.teachers.registry import make_teacher

FRAMES = torch.zeros(3, 3, 96, 96)
PAIRS = torch.tensor([[0, 1], [2, 0]])


def truth(pairs):
    """Target = source + 10 x source frame; the right half is hidden."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    target = torch.stack([x, y], -1)[None] + 10 * pairs[:, 0, None, None, None]
    return target, (x < 48).float().expand(len(pairs), -1, -1)


def test_unknown_names_and_settings_list_the_choices():
    with pytest.raises(ConfigError, match=r"'raff'.*\['exact', 'noisy', 'dis'\]"):
        make_teacher("raff")
    with pytest.raises(ConfigError, match="smooth_px"):
        make_teacher("noisy", {"smoth_px": 1.0})
    with pytest.raises(ConfigError, match="no settings"):
        make_teacher("exact", {"x": 1})


def test_exact_passes_the_truth_through():
    labels = make_teacher("exact").label(FRAMES, PAIRS, truth=truth)
    target, covisibility = truth(PAIRS)
    assert torch.equal(labels.target_px, target)
    assert torch.equal(labels.covisibility, covisibility)


@pytest.mark.parametrize("name", ["exact", "noisy"])
def test_teachers_of_the_truth_refuse_real_video(name):
    with pytest.raises(DataError, match="generated"):
        make_teacher(name).label(FRAMES, PAIRS)


def test_noise_has_the_stated_sizes():
    settings = {"smooth_px": 2.0, "gross_share": 0.0, "mask_flip_share": 0.1}
    labels = make_teacher("noisy", settings).label(FRAMES, PAIRS, truth=truth)
    target, covisibility = truth(PAIRS)
    torch.testing.assert_close(
        (labels.target_px - target).std(dim=(1, 2)), torch.full((2, 2), 2.0), rtol=1e-3, atol=0
    )
    flipped = (labels.covisibility != covisibility).float().mean((1, 2))
    torch.testing.assert_close(flipped, torch.full((2,), 0.1), rtol=0.01, atol=0.001)


def test_gross_errors_touch_their_share_of_pixels():
    settings = {"smooth_px": 0.0, "gross_share": 0.05, "gross_px": 8.0, "mask_flip_share": 0.0}
    labels = make_teacher("noisy", settings).label(FRAMES, PAIRS, truth=truth)
    target, covisibility = truth(PAIRS)
    share = (labels.target_px != target).any(-1).float().mean()
    assert 0.045 < float(share) < 0.055
    assert torch.equal(labels.covisibility, covisibility)


def test_noise_is_a_function_of_seed_clip_and_pair():
    teacher = make_teacher("noisy")
    a = teacher.label(FRAMES, PAIRS, truth=truth, index=3)
    again = teacher.label(FRAMES, PAIRS.flip(0), truth=truth, index=3)
    assert torch.equal(a.target_px.flip(0), again.target_px)
    other_clip = teacher.label(FRAMES, PAIRS, truth=truth, index=4)
    other_seed = make_teacher("noisy", {"seed": 1}).label(FRAMES, PAIRS, truth=truth, index=3)
    assert not torch.equal(a.target_px, other_clip.target_px)
    assert not torch.equal(a.target_px, other_seed.target_px)


def test_no_noise_is_exact():
    zero = {"smooth_px": 0.0, "gross_share": 0.0, "mask_flip_share": 0.0}
    labels = make_teacher("noisy", zero).label(FRAMES, PAIRS, truth=truth)
    assert torch.equal(labels.target_px, truth(PAIRS)[0])
    assert torch.equal(labels.covisibility, truth(PAIRS)[1])
