"""The clip store: what is written comes back, damage is noticed, labels stay out of reach."""

import dataclasses

import numpy as np
import pytest
import torch

from flow3r.data.clip import UnlabelledClips
from flow3r.data.store import ClipStore, ClipStoreWriter, StoreLayout
from flow3r.errors import DataError


def test_what_is_written_comes_back(tmp_path):
    layout = StoreLayout(2, 8, 8, ((0, 1),), labelled=True)
    writer = ClipStoreWriter(tmp_path / "s", 1, layout)
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    target = torch.rand(1, 8, 8, 2) * 8
    covisibility = (torch.rand(1, 8, 8) > 0.5).float()
    labels = {
        "depth": torch.rand(2, 8, 8),
        "intrinsics": torch.rand(2, 3, 3),
        "world_from_camera": torch.rand(2, 4, 4),
        "moving": torch.rand(2, 8, 8) > 0.5,
    }
    writer.write(0, images, target, covisibility, labels)
    writer.finish({})
    clips = ClipStore.open(tmp_path / "s").evaluation(np.array([0]), "static")
    assert torch.equal((clips.labelled.images[0] * 255).round().to(torch.uint8), images)
    assert torch.equal(clips.labelled.depth[0], labels["depth"])
    assert torch.equal(clips.labelled.intrinsics[0], labels["intrinsics"])
    assert torch.equal(clips.labelled.world_from_camera[0], labels["world_from_camera"])
    assert torch.equal(clips.moving[0], labels["moving"])
    assert torch.equal(clips.labelled.flow.covisibility[0], covisibility)
    assert (clips.labelled.flow.target_px[0] - target).abs().max() <= 2**-8
    assert clips.scenes == ("static/000000",)


def test_unlabelled_clips_have_no_place_for_labels(make_store):
    clips = make_store("s", 3).unlabelled(np.array([0, 2]))
    names = {f.name for f in dataclasses.fields(UnlabelledClips)}
    assert names == {"images", "flow", "intrinsics"}
    assert clips.intrinsics is None


def test_calibrated_clips_bring_intrinsics_only(make_store):
    clips = make_store("s", 3).calibrated(np.array([1]))
    assert clips.intrinsics.shape == (1, 2, 3, 3)


def test_a_store_without_labels_refuses_labelled_clips(make_store):
    store = make_store("video", 2, labelled=False)
    assert store.unlabelled(np.array([0])).images.shape == (1, 2, 3, 16, 24)
    with pytest.raises(DataError, match="unlabelled clips"):
        store.labelled(np.array([0]))
    with pytest.raises(DataError, match="no intrinsics"):
        store.calibrated(np.array([0]))


def test_an_unfinished_store_is_not_opened(tmp_path):
    ClipStoreWriter(tmp_path / "s", 1, StoreLayout(2, 8, 8, ((0, 1),), labelled=False))
    with pytest.raises(DataError, match="no finished clip store"):
        ClipStore.open(tmp_path / "s")


def test_a_finished_store_is_never_overwritten(make_store, tmp_path):
    store = make_store("s", 1)
    with pytest.raises(DataError, match="never overwritten"):
        ClipStoreWriter(tmp_path / "s", 1, store.layout)


def test_a_flipped_byte_is_detected(make_store):
    store = make_store("s", 2)
    store.verify()
    path = store.path / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="fingerprint"):
        ClipStore.open(store.path).verify()


def test_a_truncated_array_is_refused(make_store):
    store = make_store("s", 2)
    path = store.path / "depth.npy"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"depth\.npy cannot be read"):
        ClipStore.open(store.path)


def test_wrong_shapes_and_missing_labels_are_refused(tmp_path):
    writer = ClipStoreWriter(tmp_path / "s", 1, StoreLayout(2, 8, 8, ((0, 1),), labelled=False))
    good = torch.zeros(2, 3, 8, 8), torch.zeros(1, 8, 8, 2), torch.zeros(1, 8, 8)
    with pytest.raises(DataError, match="images has shape"):
        writer.write(0, good[0][:, :, :4], *good[1:])
    with pytest.raises(DataError, match="clip 0: has"):
        writer.write(0, *good, {"depth": torch.zeros(2, 8, 8)})


def test_equal_content_gives_equal_fingerprints(make_store):
    assert make_store("a", 2, seed=1).fingerprint == make_store("b", 2, seed=1).fingerprint
    assert make_store("c", 2, seed=1).fingerprint != make_store("d", 2, seed=2).fingerprint
