"""The benchmark: its records, its command line, and that its references agree with the package."""

import dataclasses
import json
import time

import pytest
import torch

from experiments.benchmarks import factored_head, losses, problem
from experiments.benchmarks import run as running
from experiments.benchmarks.measure import Variant, measure
from experiments.benchmarks.references import plain_attention, plain_rope
from experiments.benchmarks.settings import DEFAULTS, Settings, parse
from flow3r.errors import ConfigError
from flow3r.model.attention import Attention
from flow3r.model.rope import patch_positions, rotary
from flow3r.model.sizes import BlockConfig

SMOKE = ["model=pi3-smoke", "frames=2", "size=32", "batch=2", "pairs=2", "repeats=2"]
SMOKE += ["workers=1", "steps=9"]
FIELDS = {"case", "variant", "reference", "seconds", "ratio", "peak_bytes", "repeats", "device"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("experiments.benchmarks.measure.SHORTEST", 0.0)
    monkeypatch.setattr("experiments.benchmarks.flops.SIDE", 64)


@pytest.mark.parametrize("case", list(DEFAULTS))
def test_every_case_prints_one_record_a_line(case, capsys):
    [settings] = parse([f"case={case}", *SMOKE])
    running.run(settings)
    output = capsys.readouterr()
    records = [json.loads(line) for line in output.out.splitlines()]
    assert len(records) >= 2
    assert case in output.err
    for record in records:
        assert set(record) >= FIELDS
        assert record["case"] == case
        assert record["seconds"] > 0
        assert (record["reference"] is None) == (record["ratio"] is None)
    names = {record["variant"] for record in records}
    assert {r["reference"] for r in records} - {None} <= names


def tight(settings):
    """Every relative error that a case reports."""
    errors = {
        name: error
        for record in settings
        for name, error in (record.get("relative_error") or {}).items()
    }
    assert errors
    return errors


def test_the_factored_head_equals_the_concatenation_in_values_and_gradients():
    [settings] = parse(["case=factored_head", *SMOKE, "gradients=true", "pairs=all"])
    errors = tight(factored_head.records(settings))
    assert "gradient of 0.weight" in errors
    assert max(errors.values()) < 1e-5


def test_batched_losses_equal_the_loop_over_clips_in_values_and_gradients():
    [settings] = parse(["case=losses", *SMOKE])
    errors = tight(losses.records(settings))
    assert set(errors) == {"loss", "points", "confidence", "poses", "flow"}
    assert max(errors.values()) < 1e-5


@pytest.mark.parametrize("kind", ["sdpa", "softmax"])
def test_attention_equals_the_plain_one_with_gradients(kind):
    module = Attention(BlockConfig(32, 2, 4.0, 1e-6, kind, qk_norm_eps=1e-5)).double()
    positions = patch_positions((3, 4), 2, torch.device("cpu"))
    x = torch.randn(2, len(positions), 32, dtype=torch.float64, requires_grad=True)
    ours, plain = module(x, rotary(positions, 16), None), plain_attention(module, x, positions)
    weight, wanted = torch.randn_like(ours), [x, *module.parameters()]
    expected = torch.autograd.grad((plain * weight).sum(), wanted)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)
    for a, b in zip(torch.autograd.grad((ours * weight).sum(), wanted), expected):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        rotary(positions, 16).apply(x[..., :16]), plain_rope(x[..., :16], positions)
    )


def test_ratios_are_taken_within_a_round(monkeypatch):
    """On a machine that gets ten times slower from round to round, twice the work is a ratio of 2;
    the medians over all rounds tell nothing."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    calls = {"one": 0, "two": 0}

    def work(name, amount):
        def run():
            clock[0] += amount * 10.0 ** calls[name]
            calls[name] += 1

        return run

    settings = Settings(case="forward", model="pi3-smoke", frames=1, size=32, repeats=4)
    variants = [Variant("one", work("one", 1)), Variant("two", work("two", 2))]
    one, two = measure("forward", variants, settings, {})
    assert (one["ratio"], one["reference"]) == (None, None)
    assert (two["ratio"], two["reference"]) == (2.0, "one")
    assert two["ratio_spread"] == [2.0, 2.0]


def test_a_variant_without_memory_is_reported_and_the_others_are_measured():
    def greedy():
        raise torch.OutOfMemoryError("too much")

    settings = Settings(case="forward", model="pi3-smoke", frames=1, size=32, repeats=1)
    small, large = measure(
        "forward", [Variant("small", lambda: None), Variant("large", greedy)], settings, {}
    )
    assert small["seconds"] > 0
    assert large["seconds"] is None
    assert large["failure"] == "out of memory"


def test_peak_memory_is_what_a_call_needs_beyond_what_was_there():
    settings = Settings(case="forward", model="pi3-smoke", frames=1, size=32, repeats=1)
    held = torch.ones(4 * 2**20)
    [record] = measure("forward", [Variant("a", lambda: held.clone().sum() and None)], settings, {})
    if record["peak_bytes"] is not None:
        assert record["peak_bytes"] == pytest.approx(16 * 2**20, rel=0.2)


def test_pairs_are_near_ones_first_and_all_on_request():
    settings = Settings(case="forward", model="pi3-smoke", frames=3, size=32, pairs="3")
    assert settings.ordered_pairs() == [[0, 1], [1, 0], [1, 2]]
    every = dataclasses.replace(settings, pairs="all").ordered_pairs()
    assert sorted(every) == [[i, j] for i in range(3) for j in range(3) if i != j]
    assert len(problem.pairs(settings)) == 3


def test_lists_are_measured_one_after_the_other():
    every = parse(["case=forward", "frames=2,8", "size=224,518"])
    sizes = [(s.frames, s.size) for s in every]
    assert sizes == [(2, 224), (2, 518), (8, 224), (8, 518)]


def test_sizes_go_with_the_model():
    def sizes(*arguments):
        [settings] = parse(arguments)
        return settings.model, settings.frames, settings.size, settings.batch

    assert sizes("case=factored_head") == ("pi3-large", 8, 224, 1)
    assert sizes("case=forward") == ("pi3-study", 2, 48, 24)
    assert sizes("case=forward", "model=vggt-large", "frames=2") == ("vggt-large", 2, 224, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], r"case=NAME is required.*factored_head"),
        (["case=speed"], r"case='speed'.*'forward'.*'factored_head'"),
        (["case=forward", "precision=half"], r"precision='half'.*bfloat16"),
        (["case=forward", "frames=two"], "frames='two'"),
        (["case=forward", "pairs=some"], "pairs='some'"),
        (["case=forward", "compile=yes"], "compile='yes'.*true"),
        (["case=forward", "clips=3"], "unknown arguments.*batch"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_right_ones(arguments, message):
    with pytest.raises(ConfigError, match=message):
        parse(arguments)


def test_a_wrong_model_or_size_is_answered_when_it_runs():
    with pytest.raises(ConfigError, match=r"model='pi4'.*pi3-large"):
        running.run(parse(["case=forward", "model=pi4"])[0])
    with pytest.raises(ConfigError, match="size=30 must be a multiple of the patch size 8"):
        running.run(parse(["case=forward", "size=30", "batch=1"])[0])


def test_help_is_there_at_once(run_script):
    start = time.monotonic()
    result = run_script("experiments/benchmark.py", "--help")
    assert result.returncode == 0
    assert all(f"case={name}" in result.stdout for name in DEFAULTS)
    assert time.monotonic() - start < 3
