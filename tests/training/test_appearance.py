"""The look of training frames: ranges, exact special cases, JPEG against a real encoder."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from flow3r.errors import ConfigError
from flow3r.training.appearance import DRAWS, AppearanceConfig, change_appearance
from flow3r.training.augmentation import augment
from flow3r.training.config import AugmentationConfig

NOTHING = AppearanceConfig(jitter=0.0, hue=0.0, blur_share=0.0, jpeg_share=0.0)


def pictures(count=4, height=45, width=61):
    """Smooth, colourful."""
    y, x = torch.meshgrid(torch.linspace(0, 6, height), torch.linspace(0, 9, width), indexing="ij")
    phases = torch.arange(3 * count).view(count, 3, 1, 1) * 0.7
    return 0.5 + 0.4 * torch.sin(x + phases) * torch.cos(y - phases)


def draws(count=4):
    return torch.rand(count, DRAWS, generator=torch.Generator().manual_seed(1))


def test_nothing_asked_nothing_changed():
    images = pictures()
    torch.testing.assert_close(change_appearance(images, NOTHING, draws()), images)


def test_values_stay_pictures_and_the_draws_decide():
    images = pictures()
    made = change_appearance(images, AppearanceConfig(), draws())
    assert made.shape == images.shape
    assert made.min() >= 0
    assert made.max() <= 1
    assert torch.isfinite(made).all()
    assert torch.equal(made, change_appearance(images, AppearanceConfig(), draws()))
    # Frames do not depend on each other.
    one = change_appearance(images[2:3], AppearanceConfig(), draws()[2:3])
    torch.testing.assert_close(one, made[2:3])
    assert not torch.allclose(made, images, atol=0.05)


@pytest.mark.parametrize("place", range(5))
def test_each_colour_factor_alone(place):
    """The middle of the range changes nothing; its end does what the formula says."""
    images = pictures()
    given = torch.full((4, DRAWS), 0.5)
    config = AppearanceConfig(blur_share=0.0, jpeg_share=0.0)
    torch.testing.assert_close(
        change_appearance(images, config, given), images, atol=1e-5, rtol=1e-5
    )
    given[:, place] = 1.0
    made = change_appearance(images, config, given)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    grey = (images * luma).sum(1, keepdim=True)
    if place == 0:
        torch.testing.assert_close(made, (1.3 * images).clamp(0, 1), atol=1e-5, rtol=1e-5)
    elif place == 1:
        mean = grey.mean((2, 3), keepdim=True)
        expected = (mean + 1.3 * (images - mean)).clamp(0, 1)
        torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)
    elif place == 2:
        expected = (grey + 1.3 * (images - grey)).clamp(0, 1)
        torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)
    elif place == 3:
        torch.testing.assert_close(made, images**1.3, atol=1e-5, rtol=1e-5)
    else:
        inside = ((made > 0.001) & (made < 0.999)).all(1, keepdim=True)
        difference = ((made * luma).sum(1, keepdim=True) - grey)[inside]
        assert difference.abs().max() < 1e-5  # the luma stays where nothing is clipped
        assert (made - images).abs().mean() > 0.02


@pytest.mark.parametrize("quality", [20, 50, 80, 100])
def test_jpeg_is_what_an_encoder_does(quality):
    images = (pictures(1) * 255).round() / 255
    config = AppearanceConfig(
        jitter=0.0, hue=0.0, blur_share=0.0, jpeg_share=1.0, jpeg_quality=(quality, quality)
    )
    made = change_appearance(images, config, draws(1))
    picture = (images[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "jpeg", quality=quality, subsampling=0)
    expected = np.asarray(Image.open(buffer)).astype(np.float32) / 255
    ours = made[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - expected).mean() < 0.003  # less than one grey value
    assert np.abs(ours - expected).max() < 0.04


def test_lost_sharpness_is_lost():
    checks = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    images = checks.float().expand(2, 3, 64, 64)
    config = AppearanceConfig(
        jitter=0.0, hue=0.0, blur_share=0.5, blur_ratio=(0.25, 0.25), jpeg_share=0.0
    )
    given = torch.zeros(2, DRAWS)
    given[1, 5] = 0.9  # not chosen
    made = change_appearance(images, config, given)
    assert made[0].std() < 0.1
    torch.testing.assert_close(made[1], images[1], atol=2e-6, rtol=0)


def test_a_batch_is_changed_alike_however_it_is_dealt():
    images = pictures(6).view(3, 2, 3, 45, 61)
    config = AugmentationConfig(appearance=AppearanceConfig())
    whole = augment(images, config, 0, "labelled", 7)
    own = np.array([0, 2])
    part = augment(images[own], config, 0, "labelled", 7, own, 3)
    torch.testing.assert_close(part, whole[own])
    plain = augment(images, AugmentationConfig(), 0, "labelled", 7)
    assert not torch.allclose(plain, whole)


def test_wrong_settings_are_named():
    for settings, message in (
        ({"jitter": 1.0}, "jitter=1.0"),
        ({"blur_ratio": (0.0, 1.0)}, "blur_ratio"),
        ({"jpeg_quality": (0, 50)}, "jpeg_quality"),
        ({"jpeg_share": 2.0}, "jpeg_share=2.0"),
    ):
        with pytest.raises(ConfigError, match=message):
            AppearanceConfig(**settings)
