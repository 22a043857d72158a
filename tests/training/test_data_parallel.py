"""Two processes against one: the same losses and the same trained weights, to 1e-5.

`data_parallel.py` trains; here its results are compared. Weights can differ more than losses: Adam
divides a gradient by its own size, so a parameter whose gradient is zero but for rounding moves by
up to the learning rate in a random direction (those are left out); and the scale alignment makes
one residual of every clip zero but for rounding, whose sign is the gradient of the point loss.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.xdist_group("data parallel")

WORKER = Path(__file__).parent / "data_parallel.py"
WITHOUT_GRADIENT = ("camera_head.fc_t.bias", "attn.qkv.bias")
"""A common shift of all cameras changes no relative pose, a common shift of all keys no weight."""
FORMULATIONS = ("3d-sup", "flow-projective", "flow-tracking", "flow-factored")
FAST = (*FORMULATIONS, "flow-factored, flow only", "two passes", "unreached", "stopped")
SLOW = (
    "flow-projective, flow only",
    "flow-tracking, flow only",
    *(f"{name}, fsdp" for name in FORMULATIONS),
    "flow only, fsdp",
    "two passes, fsdp",
    "unreached, fsdp",
    "stopped, fsdp",
    "checkpointing",
    "checkpointing, fsdp",
    "vggt",
    "vggt, fsdp",
)


def train(folder: Path, cases: tuple[str, ...]) -> Path:
    """Run the cases in one process and in two, all three at the same time."""
    commands = [
        [sys.executable, str(WORKER), str(rank), str(size), str(folder), *cases]
        for rank, size in ((0, 1), (0, 2), (1, 2))
    ]
    processes = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands
    ]
    try:
        errors = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), "\n".join(errors)
    return folder


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    return train(tmp_path_factory.mktemp("fast"), FAST)


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    return train(tmp_path_factory.mktemp("slow"), SLOW)


def results(folder: Path, case: str) -> list[dict]:
    """Of one process and of two."""
    return [torch.load(folder / f"{case}, {size}.pt") for size in (1, 2)]


def assert_same_training(one: dict, two: dict) -> None:
    """Every logged value and every weight, to 1e-5."""
    assert one["complete"] == two["complete"]
    assert one["logged"].keys() == two["logged"].keys()
    for step, metrics in one["logged"].items():
        assert metrics.keys() == two["logged"][step].keys()
        found = two["logged"][step]
        assert found["train/loss"] == pytest.approx(metrics["train/loss"], rel=1e-5)
        assert found == pytest.approx(metrics, rel=5e-5, abs=1e-5)
    assert_same_weights(one, two)


def assert_same_weights(one: dict, two: dict) -> None:
    first, second = one["saved"][-1]["model"], two["saved"][-1]["model"]
    assert first.keys() == second.keys()
    names = [name for name in first if not name.endswith(WITHOUT_GRADIENT)]
    right = torch.cat([first[name].flatten() for name in names])
    difference = torch.cat([second[name].flatten() for name in names]) - right
    assert difference.norm() < 1e-5 * right.norm()
    assert difference.abs().max() < 1e-4


def assert_bits_equal(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("case", FAST)
def test_two_processes_train_as_one_does(case, fast):
    """Three labelled and two unlabelled clips; one of each; two passes; unreached parameters."""
    assert_same_training(*results(fast, case))


def test_parameters_that_no_loss_reaches_stay_as_they_were(fast):
    """AdamW decays the weight of a parameter with a gradient of zero, not of one without any."""
    reached = results(fast, "flow-factored")[0]["saved"][-1]["model"]
    one, two = (result["saved"][-1]["model"] for result in results(fast, "unreached"))
    head = {name for name in one if "conf_head" in name}
    assert head
    assert_bits_equal({name: one[name] for name in head}, {name: two[name] for name in head})
    assert any(not torch.equal(one[name], reached[name]) for name in head)


def test_a_stop_that_one_process_hears_of_ends_both_at_the_same_step(fast):
    one, two = results(fast, "stopped")
    assert not one["complete"]
    assert not two["complete"]
    assert [s["step"] for s in one["saved"]] == [s["step"] for s in two["saved"]] == [3]


def test_continued_with_the_same_number_of_processes_is_the_undisturbed_run_bit_for_bit(fast):
    for stopped, undisturbed in zip(results(fast, "stopped"), results(fast, "flow-factored")):
        assert stopped["continued"]["complete"]
        end, expected = stopped["continued"]["saved"][-1], undisturbed["saved"][-1]
        assert_bits_equal(end["model"], expected["model"])
        logged = {**stopped["logged"], **stopped["continued"]["logged"]}
        assert logged == undisturbed["logged"]


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW)
def test_two_processes_train_as_one_does_in_more_cases(case, slow):
    """Also with the model in parts (FSDP2)."""
    assert_same_training(*results(slow, case))


@pytest.mark.slow
def test_a_model_in_parts_is_saved_as_a_whole(slow):
    """The same file as from one process, so that any number of processes can go on from it."""
    one, two = results(slow, "stopped, fsdp")
    first, second = one["saved"][-1], two["saved"][-1]
    assert {n: (v.shape, type(v)) for n, v in first["model"].items()} == {
        n: (v.shape, type(v)) for n, v in second["model"].items()
    }
    assert first["optimiser"]["state"].keys() == second["optimiser"]["state"].keys()
    for index, values in first["optimiser"]["state"].items():
        for name, value in values.items():
            assert type(second["optimiser"]["state"][index][name]) is torch.Tensor
            assert second["optimiser"]["state"][index][name].shape == value.shape
    assert_bits_equal(
        two["continued"]["saved"][-1]["model"],
        results(slow, "flow-factored, fsdp")[1]["saved"][-1]["model"],
    )
