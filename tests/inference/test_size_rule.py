"""Sizes computed by hand."""

import pytest

from flow3r.errors import ConfigError
from flow3r.inference.size import SizeRule


@pytest.mark.parametrize(
    ("source", "size"),
    [
        # 255,000 / 196 = 1301.02 patches. 4:3: 31.24 x 41.65 -> 31 x 42 = 1302 are too many, and
        # 42/31 > 4/3, so a column goes.
        ((480, 640), (31 * 14, 41 * 14)),
        ((640, 480), (41 * 14, 31 * 14)),
        # Square: 36.07 -> 36 x 36 = 1296.
        ((500, 500), (504, 504)),
        ((7, 7), (504, 504)),  # small images are enlarged
        # 16:9: 27.05 x 48.09 -> 27 x 48 = 1296.
        ((1080, 1920), (27 * 14, 48 * 14)),
        # 1:2: 25.5 x 51.01 -> 26 x 51 = 1326 (25.505 rounds up); 51/26 < 2, so a row goes.
        ((100, 200), (25 * 14, 51 * 14)),
    ],
)
def test_the_demo_sizes(source, size):
    assert SizeRule().size(source) == size
    assert size[0] * size[1] <= 255_000


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ((480, 480), (48, 48)),  # 36 patches: 6 x 6
        ((720, 1280), (32, 64)),  # 4.5 x 8 -> 4 x 8 (ties to even)
        ((480, 640), (40, 56)),  # 5.196 x 6.928 -> 5 x 7
    ],
)
def test_small_models(source, size):
    assert SizeRule(48 * 48, 8).size(source) == size


def test_extreme_shapes_keep_one_patch_and_the_limit():
    for source in [(1, 1000), (1000, 1), (3, 100_000)]:
        for limit in (196, 400, 10_000):
            height, width = SizeRule(limit).size(source)
            assert height % 14 == width % 14 == 0
            assert min(height, width) >= 14
            assert height * width <= limit


def test_a_shape_of_its_own_overrides_the_inputs():
    rule = SizeRule(48 * 48, 8, "crop", shape=(10, 10))
    assert rule.size((720, 1280)) == (48, 48)
    assert rule.box((720, 1280), (48, 48), 1.0) == (280, 0, 1000, 720)


def test_stretch_takes_everything_and_crop_a_centred_box():
    assert SizeRule().box((720, 1280), (32, 64), 1.0) == (0, 0, 1280, 720)
    # 2:1 out of 1280 x 720: 640 rows from the middle.
    assert SizeRule(fit="crop").box((720, 1280), (32, 64), 1.0) == (0, 40, 1280, 680)
    # Pixels twice as wide as high: the picture is 2560 x 720 to the eye.
    assert SizeRule(fit="crop").box((720, 1280), (32, 64), 2.0) == (280, 0, 1000, 720)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_pixels": 195}, "less than one patch"),
        ({"patch_size": 0}, "patch_size=0"),
        ({"shape": (0, 4)}, r"shape=\(0, 4\)"),
        ({"fit": "pad"}, r"choose one of \['stretch', 'crop'\]"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        SizeRule(**settings)
