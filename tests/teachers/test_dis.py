"""DIS on textures warped by known maps."""

import cv2
import numpy as np
import pytest
import torch

from flow3r.config import to_mapping
from flow3r.errors import ConfigError, DataError
from flow3r.teachers import opencv
from flow3r.teachers.consistency import pixel_centres
from flow3r.teachers.dis import DisConfig, DisTeacher, grey_frames
from flow3r.teachers.registry import make_teacher

SIZE = 128
MARGIN = 24


def texture(side, seed=0):
    """A smooth random texture [side, side] with structure at several scales, 0..255."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.random((side // s, side // s)), (side, side), interpolation=cv2.INTER_CUBIC)
        for s in (4, 8, 16, 32)
    ]
    return np.clip(np.mean(layers, 0) * 400 - 72, 0, 255).astype(np.float32)


def render(source_from_image):
    """The texture seen through a 2x3 map from image pixels to texture pixels; [3, H, W] uint8."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    image = cv2.warpAffine(texture(320), np.float32(source_from_image), (SIZE, SIZE), flags=flags)
    return torch.from_numpy(np.stack([image] * 3)).clamp(0, 255).round().to(torch.uint8)


def shifted(x, y):
    """A view whose contents lie (x, y) further right and down than in `shifted(0, 0)`."""
    return render([[1, 0, 96 - x], [0, 1, 96 - y]])


def interior(values):
    return values[MARGIN:-MARGIN, MARGIN:-MARGIN]


def end_point_error(target_px, expected_flow):
    error = target_px.numpy() - pixel_centres(SIZE, SIZE) - expected_flow
    return np.linalg.norm(error, axis=-1)


@pytest.mark.parametrize("flow", [(0.0, 0.0), (0.4, -0.3), (3.3, 1.7), (-7.6, 5.2)])
def test_translation_is_found_to_a_tenth_of_a_pixel(flow):
    frames = torch.stack([shifted(0, 0), shifted(*flow)])
    labels = DisTeacher().label(frames, torch.tensor([[0, 1]]))
    assert labels.target_px.shape == (1, SIZE, SIZE, 2)
    assert labels.target_px.dtype == labels.covisibility.dtype == torch.float32
    assert interior(end_point_error(labels.target_px[0], np.float32(flow))).mean() < 0.1
    assert interior(labels.covisibility[0]).mean() > 0.99


def test_affine_motion_is_found_to_a_tenth_of_a_pixel():
    matrix = np.array([[1.03, 0.02], [-0.02, 0.98]])
    centre = np.full(2, (SIZE - 1) / 2)
    # target = matrix (x - centre) + centre; the second view maps its pixels back by the inverse.
    inverse = np.linalg.inv(matrix)
    first = np.hstack([np.eye(2), [[96], [96]]])
    second = np.hstack([inverse, (96 + centre - inverse @ centre)[:, None]])
    labels = DisTeacher().label(
        torch.stack([render(first), render(second)]), torch.tensor([[0, 1], [1, 0]])
    )
    grid = pixel_centres(SIZE, SIZE)
    forward = (grid - centre) @ matrix.T + centre - grid
    backward = (grid - centre) @ inverse.T + centre - grid
    assert interior(end_point_error(labels.target_px[0], forward)).mean() < 0.1
    assert interior(end_point_error(labels.target_px[1], backward)).mean() < 0.1


def test_pixels_that_become_hidden_are_flagged():
    patch = torch.from_numpy(texture(64, seed=5)).to(torch.uint8)
    frames = torch.stack([shifted(0, 0), shifted(0, 0)])
    frames[0, :, 32:96, 20:84] = patch
    frames[1, :, 32:96, 26:90] = patch  # moves 6 px to the right over a still background
    mask = DisTeacher().label(frames, torch.tensor([[0, 1]])).covisibility[0]
    hidden = mask[34:94, 85:89]  # background that the patch covers in the second frame
    assert hidden.mean() < 0.25
    assert mask[36:92, 24:78].mean() > 0.95
    assert mask[:28].mean() > 0.95


def test_chained_gap_equals_the_composed_motion():
    step = np.array([5.3, -3.1], np.float32)
    frames = torch.stack([shifted(*(i * step)) for i in range(5)])
    pairs = torch.tensor([[0, 4], [4, 0], [1, 3]])
    labels = DisTeacher().label(frames, pairs)
    for i, (source, target) in enumerate(pairs.tolist()):
        expected = (target - source) * step
        mask = labels.covisibility[i].numpy() > 0
        error = end_point_error(labels.target_px[i], expected)[mask]
        assert mask.mean() > 0.6
        assert error.mean() < 0.15


def test_chaining_reaches_where_a_direct_match_does_not():
    step = np.array([9.0, 0.0], np.float32)
    frames = torch.stack([shifted(*(i * step)) for i in range(5)])
    frames[:, :, 44:84, 44:84] = torch.from_numpy(texture(40, seed=7)).to(torch.uint8)  # still
    pairs = torch.tensor([[0, 4]])
    chained = DisTeacher().label(frames, pairs).target_px[0]
    direct = DisTeacher(DisConfig(direct_gap=4)).label(frames, pairs).target_px[0]
    still = (slice(52, 76), slice(52, 76))
    assert end_point_error(chained, 0 * step)[still].mean() < 0.5
    assert end_point_error(chained, 0 * step)[still].mean() < (
        end_point_error(direct, 0 * step)[still].mean() + 0.1
    )


@pytest.mark.parametrize("gap", [1, 2, 3, 4])
def test_any_direct_gap_gives_the_same_motion(gap):
    frames = torch.stack([shifted(3 * i, 0) for i in range(5)])
    labels = DisTeacher(DisConfig(direct_gap=gap)).label(frames, torch.tensor([[0, 4], [0, 0]]))
    error = interior(end_point_error(labels.target_px[0], np.float32([12, 0])))
    assert np.median(error) < 0.1
    assert end_point_error(labels.target_px[1], 0.0).max() == 0
    assert labels.covisibility[1].all()


def test_float_and_uint8_frames_give_the_same_labels():
    frames = torch.stack([shifted(0, 0), shifted(2, 1)])
    pairs = torch.tensor([[0, 1]])
    a, b = DisTeacher().label(frames, pairs), DisTeacher().label(frames.float() / 255, pairs)
    assert torch.equal(a.target_px, b.target_px)
    assert torch.equal(a.covisibility, b.covisibility)


def test_labels_do_not_depend_on_other_pairs_or_on_the_thread_setting():
    frames = torch.stack([shifted(4 * i, 0) for i in range(4)])
    many = DisTeacher().label(frames, torch.tensor([[0, 1], [3, 0], [0, 2], [0, 3]]))
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        one = DisTeacher().label(frames, torch.tensor([[0, 3]]))
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(threads)
    assert torch.equal(many.target_px[3], one.target_px[0])


def test_thread_setting_is_restored_after_an_error():
    before = cv2.getNumThreads()
    with pytest.raises(RuntimeError, match="stop"), opencv.one_thread():
        raise RuntimeError("stop")
    assert cv2.getNumThreads() == before


def test_grey_is_bt601_luma():
    frames = torch.zeros(3, 3, 16, 16, dtype=torch.uint8)
    for channel in range(3):
        frames[channel, channel] = 200
    assert grey_frames(frames)[:, 0, 0].tolist() == [60, 117, 23]


@pytest.mark.parametrize("side", [16, 17, 33, 48])
def test_small_and_odd_sizes_work(side):
    frames = torch.randint(0, 255, (2, 3, side, side + 5), dtype=torch.uint8)
    labels = DisTeacher().label(frames, torch.tensor([[0, 1]]))
    assert torch.isfinite(labels.target_px).all()


@pytest.mark.parametrize(
    ("frames", "pairs", "message"),
    [
        (torch.zeros(2, 3, 15, 40), [[0, 1]], "too small"),
        (torch.zeros(2, 1, 32, 32), [[0, 1]], "expected \\[N, 3, H, W\\]"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.int32), [[0, 1]], "uint8 or float"),
        (torch.zeros(2, 3, 32, 32), [[0, 2]], "outside the 2 frames"),
        (torch.zeros(2, 3, 32, 32), [0, 1], "expected \\[P, 2\\]"),
    ],
)
def test_bad_clips_are_refused(frames, pairs, message):
    with pytest.raises(DataError, match=message):
        DisTeacher().label(frames, torch.tensor(pairs))


def test_no_pairs_give_no_labels():
    labels = DisTeacher().label(torch.zeros(2, 3, 32, 32), torch.zeros(0, 2, dtype=torch.int64))
    assert labels.target_px.shape == (0, 32, 32, 2)


def test_missing_opencv_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(ConfigError, match="pip install opencv-python-headless"):
        DisTeacher().label(torch.zeros(2, 3, 32, 32), torch.tensor([[0, 1]]))


def test_settings_identify_the_teacher():
    teacher = make_teacher("dis", {"patch_stride": 4})
    assert teacher.settings == to_mapping(DisConfig(patch_stride=4))
    assert make_teacher("dis").settings != teacher.settings


@pytest.mark.parametrize(
    "settings", [{"patch_stride": 9}, {"patch_size": 0}, {"direct_gap": 0}, {"finest_scale": -1}]
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        make_teacher("dis", settings)
