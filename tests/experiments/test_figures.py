"""Qualitative figures: the rule of choice, colours, alignment, files."""

import os
import struct

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from experiments.compose import compose
from experiments.figures import Side, draw_comparison, draw_run
from experiments.figures.choice import Choice, choose_by_difference, choose_scenes
from experiments.figures.colours import HIDDEN, depth_colours, flow_colours, flow_wheel
from experiments.figures.png import choose_palette, indexed_png
from experiments.figures.rows import make_row
from experiments.figures.sheet import draw_sheet, shared_limits
from experiments.identity import run_id
from experiments.rundir import RunDirectory
from experiments.scoring import identity
from experiments.spec import parse_spec
from experiments.stages import dataset_stage
from flow3r.data.clip import EvaluationClips, LabelledClips, PairFlow
from flow3r.data.store import ClipStore, ClipStoreWriter, StoreLayout
from flow3r.errors import DataError
from flow3r.evaluation.predictions import ClipPredictions, save_predictions
from flow3r.evaluation.truth import Truth
from flow3r.files import write_json

SCORES = [0.5, 0.1, 0.9, 0.3, 0.7]


def _records(values, name="static"):
    return [
        {"scene": f"{name}/{i:06d}", "metrics": {} if v is None else {"pointmap_mse": v}}
        for i, v in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (SCORES, [("best", 1), ("median", 0), ("worst", 2)]),
        ([4.0, 3.0, 2.0, 1.0], [("best", 3), ("median", 2), ("worst", 0)]),
        ([1.0, 1.0, 1.0], [("best", 0), ("median", 1), ("worst", 2)]),
        ([None, 2.0, None, 1.0], [("best", 3), ("worst", 1)]),
        ([None, 2.0], [("best", 1)]),
    ],
)
def test_best_median_and_worst_are_chosen_by_the_metric(values, expected):
    chosen = choose_scenes(_records(values))
    assert [(c.place, int(c.scene[-6:])) for c in chosen] == expected
    assert all(c.value == values[int(c.scene[-6:])] for c in chosen)


def test_no_scored_scene_is_an_error():
    with pytest.raises(DataError, match="none of 2 scenes"):
        choose_scenes(_records([None, None]))


def test_scenes_of_a_comparison_are_chosen_by_the_difference_over_all_seeds():
    arm = [_records([0.5, 0.1, 0.9, 0.3]), _records([0.5, 0.3, 0.9, None])]
    baseline = [_records([0.4, 0.4, 0.9, 0.0]), _records([0.4, 0.6, 0.9, 9.0])]
    # differences: +0.1, -0.3, 0.0; the last scene lacks a value in one run
    expected = [("best", "static/000001"), ("median", "static/000002"), ("worst", "static/000000")]
    assert choose_by_difference(arm, baseline) == expected
    with pytest.raises(DataError, match="no scene has a value"):
        choose_by_difference([_records([None])], [_records([1.0])])


@pytest.mark.parametrize(
    ("flow", "colour"),
    [
        ((0.0, 0.0), (1, 1, 1)),
        ((4.0, 0.0), (1, 0, 0)),
        ((-4.0, 0.0), (0, 1, 1)),
        ((0.0, 4.0), (0.5, 1, 0)),
        ((0.0, -4.0), (0.5, 0, 1)),
        ((2.0, 0.0), (1, 0.5, 0.5)),
        ((400.0, 0.0), (1, 0, 0)),
    ],
)
def test_flow_colours_of_known_directions(flow, colour):
    np.testing.assert_allclose(flow_colours(np.array(flow), 4.0), colour, atol=1e-12)


def test_flow_colours_agree_with_matplotlib():
    from matplotlib.colors import hsv_to_rgb

    flow = np.random.default_rng(0).normal(size=(50, 2))
    hue = np.arctan2(flow[:, 1], flow[:, 0]) / (2 * np.pi) % 1.0
    length = np.clip(np.linalg.norm(flow, axis=1) / 1.5, 0, 1)
    expected = hsv_to_rgb(np.stack([hue, length, np.ones(50)], axis=1))
    np.testing.assert_allclose(flow_colours(flow, 1.5), expected, atol=1e-9)


def test_the_wheel_is_a_disc_with_its_key():
    wheel = flow_wheel(33)
    assert wheel[0, 0, 3] == 0
    assert wheel[16, 16, 3] == 1
    np.testing.assert_allclose(wheel[16, 32, :3], (1, 0, 0), atol=1e-12)  # right


def test_unknown_depth_is_grey_and_depth_is_logarithmic():
    shown = depth_colours(np.array([[0.0, 1.0, 2.0, 4.0]]), (1.0, 4.0))
    np.testing.assert_array_equal(shown[0, 0], HIDDEN)
    from matplotlib import colormaps

    np.testing.assert_allclose(shown[0, 2], colormaps["magma_r"](0.5)[:3])


def _pose(rng):
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    pose = np.eye(4)
    pose[:3, :3] = rotation * np.sign(np.linalg.det(rotation))
    pose[:3, 3] = rng.normal(size=3)
    return pose


def _clips(count, frames=2, height=12, width=16, name="static"):
    """Arbitrary geometry, with exact flow nowhere: figures only show it."""
    rng = np.random.default_rng(5)
    intrinsics = np.array([[14.0, 0, 7.5], [0, 14.0, 5.5], [0, 0, 1]])
    poses = np.stack([[_pose(rng) for _ in range(frames)] for _ in range(count)])
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    target = grid + rng.normal(size=(count, 2, height, width, 2))

    def tensor(value):
        return torch.from_numpy(np.asarray(value, np.float32))

    return EvaluationClips(
        labelled=LabelledClips(
            images=tensor(rng.random((count, frames, 3, height, width))),
            depth=tensor(rng.uniform(1, 4, (count, frames, height, width))),
            intrinsics=tensor(np.broadcast_to(intrinsics, (count, frames, 3, 3))),
            world_from_camera=tensor(poses),
            flow=PairFlow(
                pairs=torch.tensor([[0, 1], [1, 0]]),
                target_px=tensor(target),
                covisibility=tensor(rng.random((count, 2, height, width)) > 0.3),
            ),
        ),
        moving=torch.zeros(count, frames, height, width, dtype=torch.bool),
        scenes=tuple(f"{name}/{i:06d}" for i in range(count)),
    )


def _predictions(clips, with_flow=True):
    """The truth in another world frame and scale; flow 3 px too far right and 4 px too low."""
    truth = Truth.of(clips)
    moved = _pose(np.random.default_rng(9)) @ truth.world_from_camera
    moved[..., :3, 3] *= 0.25
    return ClipPredictions(
        clips.scenes,
        moved.astype(np.float32),
        (0.25 * truth.local_points).astype(np.float32),
        truth.pairs if with_flow else None,
        (truth.target_px + np.array([3, 4], np.float32)) if with_flow else None,
    )


def test_a_row_undoes_the_similarity_and_shows_the_flow_error():
    clips = _clips(1)
    row = make_row(Choice("best", clips.scenes[0], 0.0), _predictions(clips), clips)
    np.testing.assert_allclose(row.cloud.predicted, row.cloud.truth, atol=1e-5)
    np.testing.assert_allclose(row.cloud.predicted_cameras, row.cloud.true_cameras, atol=1e-5)
    np.testing.assert_allclose(row.cloud.true_cameras[0], np.eye(4), atol=1e-6)
    np.testing.assert_allclose(row.depth, row.true_depth, rtol=1e-5)
    assert row.cloud.rotation_error < 0.1
    assert row.flow.mean_error == pytest.approx(5.0, abs=1e-4)
    np.testing.assert_array_equal(row.target, clips.labelled.images[0, 1].permute(1, 2, 0))
    source = clips.labelled.images[0, 0].permute(1, 2, 0).reshape(-1, 3)
    np.testing.assert_array_equal(row.cloud.colours[: len(source)], source)


def test_rows_share_their_colour_ranges():
    clips = _clips(1)
    row = make_row(Choice("best", clips.scenes[0], 0.0), _predictions(clips), clips)
    limits = shared_limits([row])
    assert 1.0 <= limits.depth[0] < limits.depth[1] <= 4.0
    assert limits.error == pytest.approx(5.0, abs=1e-4)


def test_columns_of_the_flow_are_left_out_without_a_flow_head():
    clips = _clips(1)
    choice = Choice("best", clips.scenes[0], 0.0)
    heads = {}
    for with_flow in (True, False):
        row = make_row(choice, _predictions(clips, with_flow), clips)
        titles = [ax.get_title() for ax in draw_sheet("t", [row]).axes]
        heads[with_flow] = [title for title in titles if title]
    assert set(heads[True]) - set(heads[False]) == {
        "true flow",
        "predicted flow",
        "end-point error",
    }
    assert "predicted depth" in heads[False]


def _read(data, tmp_path):
    (tmp_path / "image.png").write_bytes(data)
    return np.rint(imread(tmp_path / "image.png")[..., :3] * 255).astype(np.uint8)


@pytest.mark.parametrize("colours", [1, 2, 200])
def test_few_colours_survive_the_palette(tmp_path, colours):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (colours, 3), dtype=np.uint8)[rng.integers(0, colours, (20, 30))]
    np.testing.assert_array_equal(_read(indexed_png(image), tmp_path), image)


def test_many_colours_are_dithered_around_their_mean(tmp_path):
    y, x = np.meshgrid(np.arange(128), np.arange(128), indexing="ij")
    image = np.stack([2 * y, 2 * x, 255 - y - x], axis=-1).astype(np.uint8)
    read = _read(indexed_png(image), tmp_path)
    assert len(np.unique(read.reshape(-1, 3), axis=0)) <= 256
    blocks = (read.astype(float) - image).reshape(16, 8, 16, 8, 3).mean(axis=(1, 3))
    assert np.abs(blocks).mean() < 3.0


def test_the_palette_keeps_the_colour_of_a_large_area():
    rng = np.random.default_rng(0)
    colours = np.unique(rng.integers(0, 250, (2000, 3), dtype=np.uint8), axis=0)
    colours = np.concatenate([colours, [[255, 255, 255]]]).astype(np.uint8)
    counts = np.r_[np.ones(len(colours) - 1), 1e6]
    palette = choose_palette(colours, counts)
    assert len(palette) == 256
    assert (palette == 255).all(axis=1).any()


@pytest.fixture(scope="module")
def spec(small_overrides):
    overrides = [*small_overrides, "size.test_clips=5", "formulation=flow-factored"]
    return compose(overrides).spec


@pytest.fixture
def finished(tmp_path, spec):
    """A run directory with made-up predictions and scores, and its test stores."""
    return _finished_run(tmp_path, spec, with_flow=True)


def _finished_run(output, spec, with_flow):
    name = run_id(spec)
    directory = RunDirectory.create(output / "runs" / name, "run", name, spec, {})
    benchmarks = {}
    for benchmark, dataset in spec["data"]["test"].items():
        world = dataset["world"]
        clips = _clips(5, world["frames"], world["height"], world["width"], benchmark)
        store = _store(output / "stages" / dataset_stage(dataset).id / "clips", clips)
        path = directory.path / "predictions" / f"{benchmark}.npz"
        head = identity(directory, store, parse_spec(spec))
        save_predictions(path, _predictions(clips, with_flow), head)
        benchmarks[benchmark] = {"scenes": _records(SCORES, benchmark)}
    write_json(directory.path / "evaluation.json", {"benchmarks": benchmarks})
    return directory.path


def _store(path, clips):
    if path.exists():  # shared by runs
        return ClipStore.open(path)
    labelled = clips.labelled
    frames, _, height, width = labelled.images.shape[1:]
    layout = StoreLayout(frames, height, width, ((0, 1), (1, 0)), labelled=True)
    writer = ClipStoreWriter(path, len(clips.scenes), layout)
    for i in range(len(clips.scenes)):
        labels = {
            "depth": labelled.depth[i],
            "intrinsics": labelled.intrinsics[i],
            "world_from_camera": labelled.world_from_camera[i],
            "moving": clips.moving[i],
        }
        flow = labelled.flow
        writer.write(i, labelled.images[i], flow.target_px[i], flow.covisibility[i], labels)
    writer.finish({})
    return ClipStore.open(path)


def test_a_figure_per_benchmark_and_none_drawn_twice(finished):
    paths = draw_run(finished)
    assert paths == [finished / "figures" / f"{name}.png" for name in ("static", "dynamic")]
    for path in paths:
        assert path.stat().st_size < 400_000
        assert struct.unpack(">II", path.read_bytes()[16:24])[0] > 1000  # pixels wide
    before = [path.stat().st_mtime_ns for path in paths]
    assert draw_run(finished) == paths
    assert [path.stat().st_mtime_ns for path in paths] == before

    newer = finished / "predictions" / "dynamic.npz"
    later = paths[1].stat().st_mtime + 10
    os.utime(newer, (later, later))
    draw_run(finished)
    after = [path.stat().st_mtime_ns for path in paths]
    assert after[0] == before[0]
    assert after[1] > before[1]


def test_a_run_without_a_flow_head_is_drawn(tmp_path, spec):
    paths = draw_run(_finished_run(tmp_path, spec, with_flow=False))
    assert all(path.exists() for path in paths)


def test_two_arms_are_drawn_side_by_side_on_the_same_scenes(tmp_path, spec, monkeypatch):
    plain = {**spec, "seed": 1}
    runs = [_finished_run(tmp_path, spec, True), _finished_run(tmp_path, plain, False)]
    drawn = []
    monkeypatch.setattr(
        "experiments.figures.comparison.write_sheet",
        lambda path, title, rows: drawn.append((title, rows)) or path.write_bytes(b"png"),
    )
    sides = [Side(name, [run]) for name, run in zip(("flow-factored", "3d-sup"), runs)]
    figure = tmp_path / "static.png"
    draw_comparison(*sides, "static", figure)
    ((title, rows),) = drawn
    assert title.startswith("flow-factored and 3d-sup, static scenes: best, median and worst")
    assert [row.choice.arm for row in rows] == ["flow-factored", "3d-sup"] * 3
    assert [row.choice.scene for row in rows[::2]] == [row.choice.scene for row in rows[1::2]]
    assert [row.flow is None for row in rows] == [False, True] * 3
    heads = [ax.get_title() for ax in draw_sheet(title, rows).axes]
    assert "end-point error" in heads
    draw_comparison(*sides, "static", figure)
    assert len(drawn) == 1  # still newer than its sources
    with pytest.raises(DataError, match="same number of runs"):
        draw_comparison(sides[0], Side("3d-sup", []), "static", figure)


@pytest.mark.parametrize("missing", ["evaluation.json", "predictions/dynamic.npz"])
def test_a_run_without_predictions_or_scores_is_an_error(finished, missing):
    (finished / missing).unlink()
    with pytest.raises(DataError, match=f"{missing} is missing"):
        draw_run(finished)


def test_predictions_of_another_run_are_an_error(finished, spec):
    dataset = spec["data"]["test"]["static"]
    path = finished / "predictions" / "static.npz"
    world = dataset["world"]
    clips = _clips(5, world["frames"], world["height"], world["width"])
    save_predictions(path, _predictions(clips), {"run": "other", "step": "1", "data": "x"})
    with pytest.raises(DataError, match="belongs to run='other'"):
        draw_run(finished)


def test_a_scored_scene_without_prediction_is_an_error(finished):
    content = {name: {"scenes": _records([1.0] * 9, name)} for name in ("static", "dynamic")}
    write_json(finished / "evaluation.json", {"benchmarks": content})
    with pytest.raises(DataError, match="static/000008 was scored but not predicted"):
        draw_run(finished)


def test_the_command_names_what_is_missing(tmp_path, run_script):
    result = run_script("experiments/draw.py", f"run={tmp_path / 'nothing'}")
    assert result.returncode == 2
    assert "spec.json is missing" in result.stderr
    result = run_script("experiments/draw.py")
    assert result.returncode == 2
    assert "run=<run directory> is required" in result.stderr
