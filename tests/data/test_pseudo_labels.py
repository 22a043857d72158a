"""Clips of a manifest in the store: known motion, shared labels, and what training reads."""

import pickle

import numpy as np
import pytest
import torch

from flow3r.data.pseudo_labels import ClipMaker, ClipStores, LabelSettings
from flow3r.data.store import StoreLayout
from flow3r.data.video.decode import clip_frames
from flow3r.data.video.manifest import read_manifest
from flow3r.data.video_clips import VideoClips, write_video_clips
from flow3r.errors import ConfigError, DataError
from flow3r.geometry.camera import pixel_grid
from flow3r.teachers.dis import DisTeacher

SETTINGS = LabelSettings(size=(24, 32), short_side=90)
SIZE = (24, 32)


@pytest.fixture(scope="module")
def manifest(make_manifest, tmp_path_factory):
    return read_manifest(make_manifest(tmp_path_factory.mktemp("videos"), videos=1, clips=3))


@pytest.fixture(scope="module")
def made(manifest, tmp_path_factory):
    """Store folder and stage folder of all clips."""
    folder = tmp_path_factory.mktemp("made")
    maker = ClipMaker(SETTINGS, DisTeacher(), ClipStores(folder / "store"))
    assert [maker.make(clip) for clip in manifest] == [7, 7, 7]
    keys = np.stack([maker.keys(clip) for clip in manifest])
    pairs = tuple(map(tuple, SETTINGS.pairs(3).tolist()))
    layout = StoreLayout(3, *SIZE, pairs, labelled=False)
    names = [clip.name for clip in manifest]
    write_video_clips(folder / "clips", layout, keys, names, maker.stores, {"made": "for a test"})
    return folder


@pytest.fixture
def clips(made):
    return VideoClips.open(made / "clips", made / "store")


def test_known_motion_comes_back(clips):
    found = clips.unlabelled(np.arange(3))
    assert found.images.shape == (3, 3, 3, *SIZE)
    assert found.flow.pairs.tolist() == [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]
    for row, (source, target) in enumerate(found.flow.pairs.tolist()):
        # 3 video frames of (2, -1) px at 96 px height, shown at 24 px.
        expected = (target - source) * torch.tensor([6.0, -3.0]) / 4
        seen = found.flow.covisibility[:, row] > 0.5
        flow = (found.flow.target_px[:, row] - pixel_grid(*SIZE))[seen]
        assert seen.float().mean() > 0.7
        torch.testing.assert_close(flow.median(0).values, expected, atol=0.06, rtol=0)


def test_images_are_the_clips_own_frames(clips, manifest):
    found = clips.unlabelled(np.array([1])).images[0]
    frames = clip_frames(manifest.clip(1), (96, 128))[[0, 3, 6]]
    averaged = frames.reshape(3, 24, 4, 32, 4, 3).mean((2, 4))
    error = (found * 255).permute(0, 2, 3, 1).numpy() - averaged
    assert np.abs(error).max() <= 0.5 + 1e-4


def test_nothing_is_made_twice(made, manifest):
    maker = ClipMaker(SETTINGS, DisTeacher(), ClipStores(made / "store"))
    size = maker.stores.labels.size()
    assert maker.make(manifest.clip(0)) == 0
    assert maker.stores.labels.size() == size


def test_a_label_does_not_depend_on_what_else_is_labelled(made, manifest, tmp_path):
    """Clips that share a pair share its label, whatever other pairs they have."""
    near = LabelSettings(size=SIZE, short_side=90, max_gap=1)
    assert near.pairs(3).tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    alone = ClipMaker(near, DisTeacher(), ClipStores(tmp_path))
    assert alone.make(manifest.clip(0)) == 5
    keys = alone.keys(manifest.clip(0))
    shared = ClipStores(made / "store")
    assert shared.has(keys[None]).all()
    np.testing.assert_array_equal(
        alone.stores.labels.digests(keys[1:]), shared.labels.digests(keys[1:])
    )


def test_chosen_pairs_are_read_alone(clips):
    indices, chosen = np.array([2, 0]), np.array([[1, 4], [0, 5]])
    whole, some = clips.unlabelled(indices), clips.unlabelled(indices, chosen)
    for row in range(2):
        where = torch.from_numpy(chosen[row])
        assert torch.equal(some.flow.pairs[row], whole.flow.pairs[where])
        assert torch.equal(some.flow.target_px[row], whole.flow.target_px[row, where])
        assert torch.equal(some.flow.covisibility[row], whole.flow.covisibility[row, where])
    means = whole.flow.covisibility.double().mean((2, 3)).numpy()
    np.testing.assert_allclose(clips.pair_covisibility(indices), means, atol=1e-6)


def test_a_copy_in_another_process_reads_the_same(clips):
    copy = pickle.loads(pickle.dumps(clips))
    assert torch.equal(copy.unlabelled(np.arange(2)).images, clips.unlabelled(np.arange(2)).images)
    assert len(copy) == 3
    assert copy.names == ["0.mp4/000000", "0.mp4/000006", "0.mp4/000012"]
    assert copy.clip_name(1).startswith("clip 0.mp4/000006 of ")


def test_no_clips_are_a_batch_too(clips):
    found = clips.unlabelled(np.empty(0, np.int64))
    assert found.images.shape == (0, 3, 3, *SIZE)
    assert clips.pair_covisibility(np.empty(0, np.int64)).shape == (0, 6)


def test_video_has_neither_labels_nor_calibration(clips):
    with pytest.raises(DataError, match="cannot serve labelled"):
        clips.labelled(np.array([0]))
    with pytest.raises(DataError, match="intrinsics=recovered"):
        clips.calibrated(np.array([0]))


def test_the_fingerprint_is_that_of_the_content(made, clips, manifest, tmp_path):
    stores = ClipStores(made / "store")
    keys = np.load(made / "clips" / "keys.npy")
    names = clips.names

    def fingerprint(name, keys, names, stores=stores):
        return write_video_clips(tmp_path / name, clips.layout, keys, names, stores, {})

    assert fingerprint("same", keys, names) == clips.fingerprint
    assert fingerprint("fewer", keys[:2], names[:2]) != clips.fingerprint
    other = ClipStores(tmp_path / "store")
    for store, column in ((other.frames, keys[:, :1]), (other.labels, keys[:, 1:])):
        store.put((key.tobytes(), b"other") for key in column.reshape(-1, 32))
    assert fingerprint("other", keys, names, other) != clips.fingerprint


def test_missing_and_damaged_records_are_named_with_the_remedy(made, clips, tmp_path):
    with pytest.raises(DataError, match=r"lacks frames or labels of 3 of 3.*label\.py spec="):
        VideoClips.open(made / "clips", tmp_path / "empty")
    with pytest.raises(DataError, match=r"clips\.json is missing"):
        VideoClips.open(made, made / "store")
    key = np.load(made / "clips" / "keys.npy")[1, 2].tobytes()
    bucket = clips._stores.labels._bucket(key)
    place = bucket.lookup.entries[bucket.lookup.find(key)]
    content = bytearray(bucket.data.read_bytes())
    content[int(place["offset"]) + 80] ^= 1
    bucket.data.write_bytes(content)
    try:
        with pytest.raises(DataError, match=r"0\.mp4/000006.*damaged.*verify=true"):
            VideoClips.open(made / "clips", made / "store").unlabelled(np.array([1]))
    finally:
        content[int(place["offset"]) + 80] ^= 1
        bucket.data.write_bytes(content)


def test_settings_are_checked(manifest):
    for bad in ({"size": (8, 32)}, {"short_side": 0}, {"max_gap": 0}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            LabelSettings(**bad)
    with pytest.raises(DataError, match="smaller than the clips"):
        LabelSettings(size=(128, 128)).working_size(manifest.clip(0))
