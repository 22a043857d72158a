"""Checkpoints: round trip, damage, no pickled code."""

import pickle

import pytest
import torch
from torch import nn

from flow3r.errors import DataError
from flow3r.training import checkpoint


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_round_trip(tmp_path):
    module = nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    checkpoint.save(checkpoint.capture(7, module, optimiser), tmp_path / "c" / "last.pt")
    state = checkpoint.load(tmp_path / "c" / "last.pt")
    assert state.step == 7
    assert torch.equal(state.model["weight"], module.weight)
    assert torch.equal(state.rng, torch.get_rng_state())
    fresh = torch.optim.AdamW(module.parameters())
    fresh.load_state_dict(state.optimiser)
    assert fresh.state_dict()["state"][0]["step"] == 1


def test_pickled_code_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"step": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pt", "plain.pt"):
        with pytest.raises(DataError, match="not a readable checkpoint"):
            checkpoint.load(tmp_path / name)
    assert "code ran" not in capsys.readouterr().out


def test_damage_is_named(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save(checkpoint.capture(0, nn.Linear(50, 50), None), path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"last\.pt is not a readable checkpoint"):
        checkpoint.load(path)
    with pytest.raises(DataError, match="no checkpoint at"):
        checkpoint.load(tmp_path / "absent.pt")


def test_a_failed_write_leaves_the_previous_file_and_names_file_and_cause(tmp_path, largest_file):
    path = tmp_path / "last.pt"
    checkpoint.save(checkpoint.capture(7, nn.Linear(2, 2), None), path)
    before = path.read_bytes()
    largest_file(100_000)
    with pytest.raises(OSError, match=r"File too large: '.*/last\.pt'$"):
        checkpoint.save(checkpoint.capture(8, nn.Linear(500, 500), None), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]
