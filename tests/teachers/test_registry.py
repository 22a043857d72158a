"""Teachers by name, and the two that use the truth."""

import pytest
import torch

from flow3r.errors import ConfigError, DataError
from flow3r.teachers.registry import make_teacher

FRAMES = torch.zeros(3, 3, 96, 96)
PAIRS = torch.tensor([[0, 1], [2, 0]])


def truth(pairs):
    """Target = source + 10 x source frame; the right half is hidden."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    target = torch.stack([x, y], -1)[None] + 10 * pairs[:, 0, None, None, None]
    return target, (x < 48).float().expand(len(pairs), -1, -1)


def test_unknown_names_and_settings_list_the_choices():
    with pytest.raises(ConfigError, match=r"'raff'.*\['exact', 'noisy', 'dis', 'raft', 'ufm'\]"):
        make_teacher("raff")
    with pytest.raises(ConfigError, match="smooth_px"):
        make_teacher("noisy", {"smoth_px": 1.0})
    with pytest.raises(ConfigError, match="no settings"):
        make_teacher("exact", {"x": 1})


def test_exact_passes_the_truth_through():
    labels = make_teacher("exact").label(FRAMES, PAIRS, truth=truth)
    target, covisibility = truth(PAIRS)
    assert torch.equal(labels.target_px, target)
    assert torch.equal(labels.covisibility, covisibility)


@pytest.mark.parametrize("name", ["exact", "noisy"])
def test_teachers_of_the_truth_refuse_real_video(name):
    with pytest.raises(DataError, match="generated"):
        make_teacher(name).label(FRAMES, PAIRS)


CLEAN = {
    "smooth_px": 0.0,
    "motion_share": 0.0,
    "spread": 0.0,
    "edge_factor": 1.0,
    "missed_share": 0.0,
    "invented_share": 0.0,
}


def noisy(**settings):
    return make_teacher("noisy", CLEAN | settings).label(FRAMES, PAIRS, truth=truth)


def test_noise_has_the_stated_sizes():
    error = noisy(smooth_px=2.0).target_px - truth(PAIRS)[0]
    torch.testing.assert_close(error.std(dim=(1, 2)), torch.full((2, 2), 2.0), rtol=1e-3, atol=0)


def test_noise_grows_with_the_motion():
    error = noisy(motion_share=0.1).target_px - truth(PAIRS)[0]
    assert error[0].abs().max() == 0  # pair (0, 1) does not move
    # Pair (2, 0) moves by 20 px along both axes.
    expected = torch.full((2,), 0.1 * 20 * 2**0.5)
    torch.testing.assert_close(error[1].std(dim=(0, 1)), expected, rtol=1e-3, atol=0)


def test_spread_is_that_of_the_logarithm():
    even = noisy(smooth_px=1.0).target_px - truth(PAIRS)[0]
    uneven = noisy(smooth_px=1.0, spread=0.7).target_px - truth(PAIRS)[0]
    ratio = (uneven.norm(dim=-1) / even.norm(dim=-1)).log()
    torch.testing.assert_close(ratio.std(dim=(1, 2)), torch.full((2,), 0.7), rtol=0.01, atol=0)


def test_errors_are_larger_at_edges_of_the_motion_only():
    even = noisy(smooth_px=1.0).target_px - truth(PAIRS)[0]
    edged = noisy(smooth_px=1.0, edge_factor=3.0).target_px - truth(PAIRS)[0]
    ratio = edged.norm(dim=-1) / even.norm(dim=-1)
    # Hidden from column 48 on; 3 px reach.
    torch.testing.assert_close(ratio[:, :, :45], torch.ones(2, 96, 45), rtol=1e-2, atol=0)
    torch.testing.assert_close(ratio[:, :, 45:], torch.full((2, 96, 51), 3.0), rtol=1e-2, atol=0)


def test_shares_of_wrong_covisibility():
    _, seen = truth(PAIRS)
    missed = noisy(missed_share=0.2).covisibility
    assert (missed <= seen).all()
    assert 0.1 < float((seen - missed).sum() / seen.sum()) < 0.3
    invented = noisy(invented_share=0.2).covisibility
    assert (invented >= seen).all()
    assert 0.1 < float((invented - seen).sum() / (1 - seen).sum()) < 0.3


def test_noise_is_a_function_of_seed_clip_and_pair():
    teacher = make_teacher("noisy")
    a = teacher.label(FRAMES, PAIRS, truth=truth, index=3)
    again = teacher.label(FRAMES, PAIRS.flip(0), truth=truth, index=3)
    assert torch.equal(a.target_px.flip(0), again.target_px)
    other_clip = teacher.label(FRAMES, PAIRS, truth=truth, index=4)
    other_seed = make_teacher("noisy", {"seed": 1}).label(FRAMES, PAIRS, truth=truth, index=3)
    assert not torch.equal(a.target_px, other_clip.target_px)
    assert not torch.equal(a.target_px, other_seed.target_px)


def test_no_noise_is_exact():
    labels = noisy()
    assert torch.equal(labels.target_px, truth(PAIRS)[0])
    assert torch.equal(labels.covisibility, truth(PAIRS)[1])


def test_noise_of_no_pairs():
    none = PAIRS[:0]
    assert make_teacher("noisy").label(FRAMES, none, truth=truth).target_px.shape[0] == 0
