from dataclasses import replace

import numpy as np
import pytest

from flow3r.errors import DataError
from flow3r.evaluation.predictions import (
    ClipPredictions,
    concatenate_predictions,
    load_predictions,
    save_predictions,
)

FINGERPRINT = {"run": "0123456789ab", "data": "ffee"}


def random_predictions(clips=4, frames=2, size=12, flow=True, seed=0):
    rng = np.random.default_rng(seed)
    depth = np.exp(rng.normal(size=(clips, frames, size, size, 1)))
    rays = rng.uniform(-1, 1, size=(clips, frames, size, size, 2))
    return ClipPredictions(
        tuple(f"static/{seed}{index:05d}" for index in range(clips)),
        rng.normal(size=(clips, frames, 4, 4)).astype(np.float32),
        np.concatenate([rays * depth, depth], axis=-1).astype(np.float32),
        np.array([[0, 1]]) if flow else None,
        rng.uniform(-9, 20, (clips, 1, size, size, 2)).astype(np.float32) if flow else None,
    )


def assert_same(first, second):
    assert first.scenes == second.scenes
    for name in ("world_from_camera", "local_points", "pairs", "target_px"):
        a, b = getattr(first, name), getattr(second, name)
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_rounding_stays_within_its_steps_and_is_idempotent():
    exact = random_predictions()
    rounded = exact.rounded()
    z, r = exact.local_points[..., 2:], rounded.local_points[..., 2:]
    assert np.abs(np.log(r / z)).max() <= 0.5 / 1024 + 1e-6
    rays = np.abs(rounded.local_points / r - exact.local_points / z)[..., :2]
    assert rays.max() <= 0.5 / 4096 + 1e-6
    assert np.abs(rounded.target_px - exact.target_px).max() <= 0.5 / 32 + 1e-5
    np.testing.assert_array_equal(rounded.world_from_camera, exact.world_from_camera)
    assert_same(rounded.rounded(), rounded)


@pytest.mark.parametrize("flow", [True, False])
def test_a_file_keeps_rounded_predictions_exactly(tmp_path, flow):
    predictions = random_predictions(flow=flow).rounded()
    path = tmp_path / "predictions" / "static.npz"
    save_predictions(path, predictions, FINGERPRINT)
    assert_same(load_predictions(path, FINGERPRINT), predictions)
    assert_same(load_predictions(path, {}), predictions)
    assert [p.name for p in path.parent.iterdir()] == ["static.npz"]


def test_extreme_values_saturate_instead_of_wrapping(tmp_path):
    predictions = random_predictions(clips=1)
    predictions.local_points[0, 0, 0, 0] = [1e6, -1e6, 1.0]
    predictions.local_points[0, 0, 0, 1] = [0.0, 0.0, 1e30]
    predictions.target_px[0, 0, 0, 0] = [1e7, -1e7]
    rounded = predictions.rounded()
    assert rounded.local_points[0, 0, 0, 0] == pytest.approx([8, -8, 1], rel=1e-3)
    assert 1e13 < rounded.local_points[0, 0, 0, 1, 2] < 1e14
    assert rounded.target_px[0, 0, 0, 0] == pytest.approx([1024, -1024], rel=1e-3)
    assert rounded.local_points[0, 0, 0, 2] == pytest.approx(
        predictions.local_points[0, 0, 0, 2], rel=0.01, abs=0.01
    )


def test_another_fingerprint_is_refused(tmp_path):
    save_predictions(tmp_path / "p.npz", random_predictions(), FINGERPRINT)
    with pytest.raises(DataError, match=r"data='ffee'.*data='0000'"):
        load_predictions(tmp_path / "p.npz", {**FINGERPRINT, "data": "0000"})
    with pytest.raises(DataError, match="step=None"):
        load_predictions(tmp_path / "p.npz", {"step": "100"})


def test_damaged_and_missing_files_are_one_clear_error(tmp_path):
    path = tmp_path / "p.npz"
    save_predictions(path, random_predictions(), FINGERPRINT)
    whole = path.read_bytes()
    for content in (b"", b"not an archive", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"p\.npz"):
            load_predictions(path, FINGERPRINT)
    with pytest.raises(DataError, match="absent"):
        load_predictions(tmp_path / "absent.npz", FINGERPRINT)
    np.savez(path, head=np.array({"a": 1}, dtype=object))  # would need pickle
    with pytest.raises(DataError, match=r"p\.npz"):
        load_predictions(path, FINGERPRINT)


@pytest.mark.parametrize("name", ["world_from_camera", "local_points", "target_px"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_cannot_be_scored_name_their_scene(name, value):
    predictions = random_predictions()
    damaged = getattr(predictions, name).copy()
    damaged[2].flat[5] = value
    with pytest.raises(DataError, match=f"{name}.*static/000002"):
        replace(predictions, **{name: damaged})


def test_a_depth_that_is_not_positive_is_refused():
    predictions = random_predictions()
    points = predictions.local_points.copy()
    points[1, 0, 0, 0, 2] = 0.0
    with pytest.raises(DataError, match="static/000001"):
        replace(predictions, local_points=points)


def test_parts_join_to_the_whole():
    whole = random_predictions(clips=5)
    parts = [whole.select(slice(0, 2)), whole.select(slice(2, 5))]
    assert_same(concatenate_predictions(parts), whole)
    with pytest.raises(DataError, match="joined"):
        concatenate_predictions([whole, random_predictions(flow=False)])
    with pytest.raises(DataError, match="joined"):
        concatenate_predictions([whole, random_predictions(frames=3)])
    with pytest.raises(DataError, match="no clips"):
        concatenate_predictions([])


def test_a_benchmark_fits_a_small_file(tmp_path):
    clips, size = 16, 48
    y, x = np.mgrid[:size, :size] / size
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(clips, 2, size, size))
    depth = (3 + np.sin(5 * x + y) + 0.01 * noise)[..., None]
    rays = np.stack([x - 0.5, y - 0.5], axis=-1) * np.ones((clips, 2, 1, 1, 1))
    flow = np.stack([x, y], axis=-1) * size + rng.normal(size=(clips, 2, 1, 1, 2))
    flow = flow + 0.2 * noise[..., None]
    predictions = ClipPredictions(
        tuple(str(index) for index in range(clips)),
        np.tile(np.eye(4, dtype=np.float32), (clips, 2, 1, 1)),
        np.concatenate([rays * depth, depth], axis=-1).astype(np.float32),
        np.array([[0, 1], [1, 0]]),
        flow.astype(np.float32),
    )
    save_predictions(tmp_path / "p.npz", predictions, FINGERPRINT)
    assert (tmp_path / "p.npz").stat().st_size < 15e6 * clips / 512
