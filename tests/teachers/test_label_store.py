"""Labels in, labels out: bounded error, and found by what they were made from."""

import dataclasses

import numpy as np
import pytest
import torch

from flow3r.errors import DataError
from flow3r.geometry.camera import pixel_grid
from flow3r.teachers.base import FlowLabels
from flow3r.teachers.dis import DisConfig, DisTeacher
from flow3r.teachers.label_store import (
    LabelIdentity,
    mean_covisibility,
    pack_label,
    pack_labels,
    unpack_label,
)
from flow3r.teachers.raft import RaftConfig, RaftTeacher

GENERATOR = np.random.default_rng(0)
SEEN = np.full((24, 40), 255, np.uint8)


def bound(displacement):
    return 1 / 512 + np.abs(displacement) / 2048


@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.3, 5.0, 60.0, 700.0, 3e4])
def test_the_displacement_is_within_the_bound(size):
    displacement = (size * GENERATOR.standard_normal((24, 40, 2))).astype(np.float32)
    found, covisibility = unpack_label(pack_label(displacement, SEEN))
    assert found.dtype == np.float32
    assert (np.abs(found - displacement) <= bound(displacement)).all()
    np.testing.assert_array_equal(covisibility, SEEN)


def test_the_scale_keeps_what_float16_cannot_hold():
    displacement = (1e6 * GENERATOR.standard_normal((24, 40, 2))).astype(np.float32)
    found, _ = unpack_label(pack_label(displacement, SEEN))
    assert np.isfinite(found).all()
    assert (np.abs(found - displacement) <= bound(displacement)).all()


def test_multiples_of_a_256th_up_to_eight_pixels_come_back_exactly():
    displacement = GENERATOR.integers(-2048, 2049, (24, 40, 2)).astype(np.float32) / 256
    covisibility = GENERATOR.integers(0, 256, (24, 40), dtype=np.uint8)
    found, seen = unpack_label(pack_label(displacement, covisibility))
    np.testing.assert_array_equal(found, displacement)
    np.testing.assert_array_equal(seen, covisibility)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (48, 48)])
def test_any_shape(shape):
    displacement = np.full((*shape, 2), 1.5, np.float32)
    found, seen = unpack_label(pack_label(displacement, np.full(shape, 9, np.uint8)))
    np.testing.assert_array_equal(found, displacement)
    assert (seen == 9).all()


def labels(pairs=2):
    generator = torch.Generator().manual_seed(0)
    target = pixel_grid(24, 40) + 3 * torch.randn(pairs, 24, 40, 2, generator=generator)
    return FlowLabels(target, torch.rand(pairs, 24, 40, generator=generator))


def test_covisibility_is_within_its_bound_and_its_mean_is_at_hand():
    given = labels()
    for payload, seen in zip(pack_labels(given), given.covisibility):
        _, found = unpack_label(payload)
        assert np.abs(found / 255 - seen.numpy()).max() <= 1 / 510 + 1e-7
        assert mean_covisibility(payload) == found.mean(dtype=np.float64) / 255


def test_hidden_pixels_hold_no_displacement_and_may_be_anything():
    given = labels()
    given.covisibility[:, :3] = 0.001
    given.target_px[:, 0] = float("nan")
    for payload in pack_labels(given):
        found, _ = unpack_label(payload)
        assert (found[:3] == 0).all()
    given.covisibility[1, 0, 5] = 1
    with pytest.raises(DataError, match="not finite"):
        pack_labels(given)


def test_another_format_is_refused():
    payload = pack_label(np.zeros((4, 4, 2), np.float32), SEEN[:4, :4])
    with pytest.raises(DataError, match="format 2"):
        unpack_label(b"\x02" + payload[1:])


def test_a_label_is_found_by_what_it_was_made_from():
    base = LabelIdentity(DisTeacher(), (96, 128), (24, 32))
    key = base.key("video", (0, 1, 2))
    assert key == LabelIdentity(DisTeacher(), (96, 128), (24, 32)).key("video", (0, 1, 2))
    others = [
        base.key("other", (0, 1, 2)),
        base.key("video", (2, 1, 0)),
        base.key("video", (0, 2)),
        base.key("video", (0, 1, 2, 3)),
        dataclasses.replace(base, working_size=(48, 64)).key("video", (0, 1, 2)),
        dataclasses.replace(base, size=(48, 64)).key("video", (0, 1, 2)),
        LabelIdentity(DisTeacher(DisConfig(patch_size=10)), (96, 128), (24, 32)).key(
            "video", (0, 1, 2)
        ),
    ]
    assert len({key, *others}) == 1 + len(others)


def test_learned_teachers_are_told_by_their_weights_not_by_where_they_run(tmp_path):
    for name, content in (("a.pth", b"1"), ("b.pth", b"1"), ("c.pth", b"2")):
        (tmp_path / name).write_bytes(content)

    def key(**settings):
        return LabelIdentity(RaftTeacher(RaftConfig(**settings)), (96, 128), (24, 32)).key(
            "v", (0,)
        )

    first = key(weights=str(tmp_path / "a.pth"))
    assert first == key(weights=str(tmp_path / "b.pth"), device="cuda", batch=9, content="x")
    assert first != key(weights=str(tmp_path / "c.pth"))
    assert first != key(weights=str(tmp_path / "a.pth"), updates=20)
