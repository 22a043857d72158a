"""Depth maps in every encoding, and what is no depth."""

import numpy as np
import pytest
from PIL import Image

from flow3r.data.readers import depth as readers
from flow3r.errors import ConfigError, DataError

RANDOM = np.random.default_rng(0)
DEPTH = RANDOM.uniform(0.5, 20, (12, 17)).astype(np.float32)
DEPTH[0, :5] = 0


def test_png_with_a_scale_and_invalid_codes(tmp_path):
    path = tmp_path / "d.png"
    codes = np.rint(DEPTH * 1000).astype(np.uint16)
    codes[3, 3] = 65535
    Image.fromarray(codes).save(path)
    read = readers.read_depth_png(path, 1000.0, (0, 65535))
    assert read.dtype == np.float32
    assert read[3, 3] == 0
    known = DEPTH > 0
    known[3, 3] = False
    np.testing.assert_allclose(read[known], DEPTH[known], atol=5.1e-4)
    assert np.array_equal(read == 0, ~known)
    assert readers.read_depth_png(path, 1000.0)[3, 3] == np.float32(65.535)


def test_half_precision_in_a_png(tmp_path):
    path = tmp_path / "d.png"
    Image.fromarray(DEPTH.astype(np.float16).view(np.uint16)).save(path)
    read = readers.read_depth_half_png(path, 2.0)
    assert np.array_equal(read, DEPTH.astype(np.float16).astype(np.float32) * 2)


def test_floats_in_the_channels_of_a_png(tmp_path):
    cv2 = pytest.importorskip("cv2")  # as the dataset was written: channels blue, green, red, alpha
    path = tmp_path / "d.png"
    cv2.imwrite(str(path), DEPTH[..., None].view(np.uint8))
    assert np.array_equal(readers.read_depth_rgba_png(path), DEPTH)


def test_numpy_files(tmp_path):
    noisy = DEPTH.copy()
    noisy[1, :4] = (np.nan, np.inf, -1, 0)
    expected = DEPTH.copy()
    expected[1, :4] = 0
    np.save(tmp_path / "d.npy", noisy)
    assert np.array_equal(readers.read_depth_npy(tmp_path / "d.npy"), expected)
    np.save(tmp_path / "d.npy", noisy[None])
    assert np.array_equal(readers.read_depth_npy(tmp_path / "d.npy", 2.0), 2 * expected)
    np.savez(tmp_path / "d.npz", depth=noisy)
    assert np.array_equal(readers.read_depth_npz(tmp_path / "d.npz", "depth"), expected)
    with pytest.raises(DataError, match=r"no array 'z', only \['depth'\]"):
        readers.read_depth_npz(tmp_path / "d.npz", "z")
    np.save(tmp_path / "d.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(DataError, match=r"d\.npy: cannot be read"):
        readers.read_depth_npy(tmp_path / "d.npy")


def test_sintel_and_bare_floats(tmp_path):
    path = tmp_path / "d.dpt"
    head = np.float32(202021.25).tobytes() + np.array([17, 12], "<i4").tobytes()
    path.write_bytes(head + DEPTH.tobytes())
    assert np.array_equal(readers.read_depth_dpt(path), DEPTH)
    path.write_bytes(head + DEPTH.tobytes()[:-4])
    with pytest.raises(DataError, match="do not fit 17 x 12"):
        readers.read_depth_dpt(path)
    path.write_bytes(DEPTH.tobytes())
    assert np.array_equal(readers.read_depth_raw(path, (12, 17)), DEPTH)
    with pytest.raises(DataError, match="Sintel's tag"):
        readers.read_depth_dpt(path)
    with pytest.raises(DataError, match="not float32 of"):
        readers.read_depth_raw(path, (12, 16))


def test_wrong_pictures_are_named(tmp_path):
    path = tmp_path / "d.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    with pytest.raises(DataError, match=r"d\.png: RGB uint8 \[4, 4, 3\], not 16-bit"):
        readers.read_depth_png(path, 1000.0)
    with pytest.raises(DataError, match="not 8-bit RGBA"):
        readers.read_depth_rgba_png(path)


def test_depth_from_disparity():
    disparity = np.array([[10.0, np.inf, np.nan, -40.0, 0.0]])
    depth = readers.depth_from_disparity(disparity, 1000.0, 0.2, 30.0)
    np.testing.assert_allclose(depth, [[5.0, 0, 0, 0, 1000 * 0.2 / 30]])


def test_exr_says_what_to_install_or_reads(tmp_path):
    path = tmp_path / "d.exr"
    try:
        import OpenEXR
    except ImportError:
        with pytest.raises(ConfigError, match="pip install OpenEXR"):
            readers.read_depth_exr(path)
        return
    header = {"type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"Z": DEPTH}) as file:
        file.write(str(path))
    assert np.array_equal(readers.read_depth_exr(path), DEPTH)
    with pytest.raises(DataError, match="not R"):
        readers.read_depth_exr(path, "R")
