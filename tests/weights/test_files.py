"""Reading weights files: both kinds, and what is refused."""

import collections
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from flow3r.errors import DataError
from flow3r.weights.files import read_weights


@pytest.fixture
def tensors():
    return {"a.weight": torch.randn(300, 40), "b": torch.randn(7).bfloat16(), "c": torch.tensor(2)}


@pytest.fixture(params=[".safetensors", ".bin", ".pt", ".pth"])
def written(request, tensors, tmp_path):
    """A file of each kind."""
    path = tmp_path / f"weights{request.param}"
    if request.param == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(collections.OrderedDict(tensors), path)
    return path


def test_every_kind_is_read_as_it_was_written(written, tensors):
    read = read_weights(written)
    assert set(read) == set(tensors)
    for name, value in tensors.items():
        assert read[name].dtype == value.dtype
        assert torch.equal(read[name], value)


def test_changing_what_was_read_leaves_the_file_alone(written, tensors):
    read_weights(written)["a.weight"].zero_()
    assert torch.equal(read_weights(written)["a.weight"], tensors["a.weight"])


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.6, 0.99])
def test_a_truncated_file_is_refused(written, share):
    content = written.read_bytes()
    written.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"weights\.\w+ is damaged, truncated, or") as caught:
        read_weights(written)
    assert "\n" not in str(caught.value)


def test_a_renamed_file_is_refused(written):
    other = ".pt" if written.suffix == ".safetensors" else ".safetensors"
    renamed = written.rename(written.with_suffix(other))
    with pytest.raises(DataError, match=r"holds (torch|safetensors) data but is named as a"):
        read_weights(renamed)
    with pytest.raises(DataError, match=r"weights files end with one of \['\.bin', '\.pt', '\.pth"):
        read_weights(renamed.rename(renamed.with_suffix(".ckpt")))


class Dangerous:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickled_code_is_refused_and_does_not_run(tmp_path):
    trap = tmp_path / "trap"
    archive, bare = tmp_path / "archive.pt", tmp_path / "bare.bin"
    torch.save({"a": torch.ones(2), "b": Dangerous(trap)}, archive)
    bare.write_bytes(pickle.dumps({"a": Dangerous(trap)}))
    with pytest.raises(DataError, match="damaged, truncated, or holds more than tensors"):
        read_weights(archive)
    with pytest.raises(DataError, match="is a bare pickle, which could run code: refused"):
        read_weights(bare)
    assert not trap.exists()
    torch.load(archive, weights_only=False)  # the trap is real
    assert trap.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"step": 3, "model": {"a": torch.ones(1)}}, "'step' is none.*whole checkpoint"),
        ([torch.ones(1)], "does not hold tensors by name but a list"),
        ({}, "does not hold tensors by name: empty"),
    ],
)
def test_anything_but_tensors_by_name_is_refused(content, message, tmp_path):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(DataError, match=message):
        read_weights(tmp_path / "x.pt")


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(DataError, match="no weights file at"):
            read_weights(path)
