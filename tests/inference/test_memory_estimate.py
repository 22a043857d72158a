"""The memory that a forward pass takes, told without running it."""

import pytest
import torch

import flow3r
from flow3r.inference.memory import MARGIN, forward_bytes


@pytest.mark.parametrize("name", ["pi3-smoke", "vggt-smoke", "pi3-study"])
def test_more_frames_take_more_and_the_weights_are_in_it(name):
    model = flow3r.create_model(name, formulation="flow-projective")
    weights = sum(p.nbytes for p in model.parameters())
    side = 8 * model.model.config.patch_size
    sizes = [forward_bytes(model, frames, side, side) for frames in (1, 4, 16)]
    assert weights * MARGIN < sizes[0] < sizes[1] < sizes[2]


def test_the_estimate_is_the_allocations_of_a_real_pass():
    """torch's own record of allocations on the CPU, summed up as they come and go."""
    model = flow3r.create_model("pi3-small", formulation="flow-projective").eval()
    images = torch.rand(1, 4, 3, 112, 112)
    with torch.inference_mode():
        model(images)  # what is built once
        with torch.profiler.profile(profile_memory=True) as profile:
            model(images)
    live = peak = 0
    for change in _allocations(profile):
        live += change
        peak = max(peak, live)
    weights = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
    expected = weights + images.nbytes + peak
    assert forward_bytes(model, 4, 112, 112) / MARGIN == pytest.approx(expected, rel=0.1)


def _allocations(profile):
    """Bytes taken (positive) and given back (negative), in order of time."""
    events = profile.profiler.kineto_results.events()
    found = [e for e in events if e.name() == "[memory]"]
    return [e.nbytes() for e in sorted(found, key=lambda e: e.start_ns())]


def test_nothing_is_computed_and_the_model_stays_as_it_is():
    model = flow3r.create_model("pi3-smoke", formulation="flow-projective")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    forward_bytes(model, 2, 32, 32)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert type(model(torch.rand(1, 2, 3, 32, 32)).local_points) is torch.Tensor
