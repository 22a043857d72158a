"""Scores and paired differences of a planted store, against hand-computed numbers."""

import numpy as np
import pytest

from analysis.records import load_records
from analysis.statistics import estimate
from analysis.summary import (
    compare,
    compared_pairs,
    excludes_zero,
    summarise,
    verdict,
)
from flow3r.errors import ConfigError
from flow3r.files import read_json, write_json


@pytest.fixture(scope="module")
def planted(store, tmp_path_factory):
    recorded = store(scenes=24)
    records = load_records(recorded.write(tmp_path_factory.mktemp("planted")), "formulations")
    return recorded, records, summarise(records)


def test_arm_scores_are_means_over_seeds_and_scenes(planted):
    recorded, _, numbers = planted
    row = numbers.score("flow-factored", "dynamic", "rra_15")
    values = np.stack(
        [recorded.score("dynamic", "rra_15", "flow-factored", seed) for seed in range(5)]
    )
    assert row["mean"] == pytest.approx(values.mean())
    expected = estimate(values, planned=5)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert (row["seeds"], row["scenes"], row["missing"]) == (5, 24, 0)


def test_planted_effects_are_found_and_a_null_is_not(planted):
    _, records, numbers = planted
    for metric in ("rra_15", "pointmap_mse"):
        found = numbers.difference("flow-factored", "3d-sup", "dynamic", metric)
        assert verdict(found) == "better"
        found = numbers.difference("flow-projective", "3d-sup", "dynamic", metric)
        assert verdict(found) == "worse"
    null = [
        excludes_zero(row)
        for _, row in numbers.comparisons.query(
            "arm == 'flow-labelled' and baseline == '3d-sup'"
        ).iterrows()
    ]
    assert len(null) == 10
    assert sum(null) <= 1
    same = compare(records, "3d-sup", "3d-sup", "dynamic", "rra_15")
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)


def test_pairing_makes_the_interval_narrow(planted):
    _, _, numbers = planted
    score = numbers.score("flow-factored", "dynamic", "rra_15")
    difference = numbers.difference("flow-factored", "3d-sup", "dynamic", "rra_15")
    assert difference["high"] - difference["low"] < 0.5 * (score["high"] - score["low"])


def test_chance_is_a_row_and_a_baseline(planted):
    _, _, numbers = planted
    row = numbers.score("chance", "static", "rta_30")
    assert (row["formulation"], row["mean"], row["low"], row["seeds"]) == ("none", 15.0, None, 0)
    arm = numbers.score("3d-sup", "static", "rta_30")
    above = numbers.difference("3d-sup", "chance", "static", "rta_30")
    assert above["difference"] == pytest.approx(arm["mean"] - 15.0)
    assert above["low"] == pytest.approx(arm["low"] - 15.0)


def test_a_difference_can_be_read_both_ways(planted):
    numbers = planted[2]
    found = numbers.difference("flow-factored", "3d-sup", "dynamic", "rra_15")
    turned = numbers.difference("3d-sup", "flow-factored", "dynamic", "rra_15")
    assert (turned["arm"], turned["baseline"]) == ("3d-sup", "flow-factored")
    assert turned["difference"] == -found["difference"]
    assert (turned["low"], turned["high"]) == (-found["high"], -found["low"])
    assert verdict(found) == "better"
    assert verdict(turned) == "worse"


def test_every_pair_is_compared_once(planted):
    _, records, _ = planted
    pairs = compared_pairs(records)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    assert ("flow-factored", "flow-tracking") in pairs
    assert ("3d-sup++", "3d-sup") in pairs
    assert len(pairs) == 5 + 3  # against the baseline, and among the three flow formulations


def test_the_ends_of_a_scaling_curve_are_compared(scaling, tmp_path):
    records = load_records(scaling(seeds=(0,), scenes=2).write(tmp_path), "scaling")
    pairs = compared_pairs(records)
    assert ("factored-4096", "factored-0") in pairs
    assert ("factored-4096", "3d-sup++") in pairs


def drop(output_dir, run_id, metric, scenes):
    path = output_dir / "runs" / run_id / "evaluation.json"
    evaluation = read_json(path)
    for scene in evaluation["benchmarks"]["dynamic"]["scenes"][:scenes]:
        scene["metrics"].pop(metric)
    write_json(path, evaluation)


def test_missing_values_are_left_out_and_counted(store, tmp_path, run_id):
    recorded = store(seeds=(0, 1), scenes=4)
    recorded.write(tmp_path)
    drop(tmp_path, run_id("formulations", "flow-factored", 0), "auc_30", 1)
    drop(tmp_path, run_id("formulations", "flow-tracking", 0), "auc_30", 4)
    records = load_records(tmp_path, "formulations")
    found = compare(records, "flow-factored", "3d-sup", "dynamic", "auc_30")
    difference = np.stack(
        [
            recorded.score("dynamic", "auc_30", "flow-factored", seed)
            - recorded.score("dynamic", "auc_30", "3d-sup", seed)
            for seed in (0, 1)
        ]
    )
    assert found.mean == pytest.approx((difference[0, 1:].mean() + difference[1].mean()) / 2)
    assert found.missing == 1
    one = compare(records, "flow-tracking", "3d-sup", "dynamic", "auc_30")
    assert (one.seeds, one.low) == (1, None)


def test_an_arm_without_the_metric_is_not_compared(store, tmp_path, run_id):
    store(seeds=(0, 1), scenes=3).write(tmp_path)
    for seed in (0, 1):
        drop(tmp_path, run_id("formulations", "3d-sup", seed), "auc_30", 3)
    numbers = summarise(load_records(tmp_path, "formulations"))
    assert numbers.score("3d-sup", "dynamic", "auc_30") is None
    assert numbers.difference("flow-factored", "3d-sup", "dynamic", "auc_30") is None
    assert numbers.score("flow-factored", "dynamic", "auc_30") is not None


def test_unknown_metric_is_refused(store, tmp_path, run_id):
    store(seeds=(0,), scenes=1).write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "3d-sup", 0) / "evaluation.json"
    evaluation = read_json(path)
    evaluation["benchmarks"]["static"]["scenes"][0]["metrics"]["shininess"] = 1.0
    write_json(path, evaluation)
    with pytest.raises(ConfigError, match="shininess"):
        summarise(load_records(tmp_path, "formulations"))


def test_nothing_is_claimed_while_seeds_are_missing(store, tmp_path, run_id):
    recorded = store(seeds=(0, 1, 2, 3), scenes=8, effects={"flow-factored": 30.0}, noise=0.05)
    recorded.write(tmp_path)
    whole = summarise(load_records(tmp_path, "formulations"))
    status = tmp_path / "runs" / run_id("formulations", "flow-factored", 3) / "status.json"
    write_json(status, {**read_json(status), "state": "running"})
    looked = summarise(load_records(tmp_path, "formulations"))
    keys = ("flow-factored", "3d-sup", "dynamic", "rra_15")
    final, look = whole.difference(*keys), looked.difference(*keys)
    assert (final["preliminary"], verdict(final), final["level"]) == (False, "better", 0.95)
    assert (look["preliminary"], verdict(look)) == (True, "undecided")
    assert look["level"] > 0.95
    assert look["low"] > 0  # and yet no claim
