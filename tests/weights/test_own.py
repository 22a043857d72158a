"""Import of our own files."""

import pytest
import torch

from flow3r.errors import DataError
from flow3r.weights.own import import_own


def equal(first, second):
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_own_weights_of_a_run(small, scrambled):
    source = scrambled(small("pi3").state_dict())
    model = small("pi3")
    assert import_own(model, source).tensors == len(source)
    assert equal(model.state_dict(), source)
    report = import_own(small("pi3", "flow-projective"), source)
    assert report.left_out == {"formulation": 68}
    with pytest.raises(DataError, match=r"missing: formulation\.head"):
        import_own(small("pi3", "flow-tracking"), source)
    report = import_own(small("pi3", "flow-tracking"), source, may_lack=("flow-head",))
    assert report.kept == ("flow-head",)


def test_own_weights_of_the_pretrain_stage(small, scrambled):
    tracking = small("pi3", "flow-tracking")
    state = {
        **{k: v for k, v in small("pi3").state_dict().items() if k.startswith("model.")},
        **{f"heads.flow-factored.{k}": v for k, v in small("pi3").formulation.state_dict().items()},
        **{f"heads.flow-tracking.{k}": v for k, v in tracking.formulation.state_dict().items()},
        "match.weight": torch.zeros(2, 16),
    }
    state = scrambled(state)
    model = small("pi3")
    report = import_own(model, state)
    count = len(tracking.formulation.state_dict())
    assert report.left_out == {"heads.flow-tracking": count, "match": 1}
    head = model.formulation.state_dict()
    assert all(torch.equal(head[k], state[f"heads.flow-factored.{k}"]) for k in head)
    assert not import_own(small("pi3", "3d-sup"), state).kept
