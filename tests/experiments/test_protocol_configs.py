import json

import pytest

from experiments.protocols import load_protocol, protocol_names
from flow3r.config import from_mapping, to_mapping
from flow3r.data.datasets.registry import MODULES
from flow3r.errors import ConfigError
from flow3r.evaluation.protocols.protocol import Protocol

PAPER = {
    "static": {"CO3Dv2", "ScanNet", "NRGBD", "7-Scenes"},
    "dynamic": {"Kinetics-700", "EPIC-Kitchens", "Sintel", "Bonn"},
}
PAPER_METRICS = {
    "static": {"rta_30", "auc_30", "pointmap_mse", "f_score_5"},
    "dynamic": {"rpe_translation", "rpe_rotation", "ate", "pointmap_mse", "f_score_5"},
    "depth": {"depth_abs_rel", "depth_delta_1"},
}


@pytest.mark.parametrize("name", protocol_names())
def test_every_config_is_a_protocol_of_a_known_dataset(name):
    protocol = load_protocol(name)
    assert protocol.name == name
    assert protocol.dataset in MODULES
    assert PAPER_METRICS[protocol.family] <= set(protocol.metrics)
    assert len(protocol.source) > 100
    assert from_mapping(Protocol, to_mapping(protocol)) == protocol


@pytest.mark.parametrize("family", PAPER)
def test_the_eight_benchmarks_of_the_paper_are_there(family):
    labels = {p.label for p in map(load_protocol, protocol_names()) if p.family == family}
    assert PAPER[family] <= labels


def test_labels_and_fingerprints_are_unique():
    protocols = [load_protocol(name) for name in protocol_names()]
    assert len({p.label for p in protocols}) == len(protocols)
    assert len({p.fingerprint("x") for p in protocols}) == len(protocols)


def test_fingerprints_tell_what_a_model_is_shown_from_how_it_is_scored():
    plain = load_protocol("7scenes")
    scored = load_protocol("7scenes", {"points.icp_threshold": 0.2})
    shown = load_protocol("7scenes", {"frames.step": 20})
    assert scored.input_fingerprint("x") == plain.input_fingerprint("x")
    assert scored.fingerprint("x") != plain.fingerprint("x")
    assert shown.input_fingerprint("x") != plain.input_fingerprint("x")
    assert plain.input_fingerprint("x") != plain.input_fingerprint("y")
    said = load_protocol("7scenes", {"source": "other words"})
    assert said.fingerprint("x") == plain.fingerprint("x")


def test_a_list_of_frames_takes_the_place_of_the_rule(tmp_path):
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"apple/1": [3, 1, 2]}))
    protocol = load_protocol("co3d", {"frames.file": str(path)})
    assert protocol.frames.rule == "listed"
    assert protocol.frames.listed == {"apple/1": (3, 1, 2)}
    path.write_text(json.dumps(["apple/1"]))
    with pytest.raises(ConfigError, match=r"expected \{scene"):
        load_protocol("co3d", {"frames.file": str(path)})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"size.wide": 3}, "valid settings"),
        ({"metrics": ["rra_31"]}, "rra_31"),
        ({"depth.alignment": "best"}, "scale_shift_published"),
        ({"single_frames": True}, "single frames"),
        ({"size.compare": "original"}, "fit=stretch"),
        ({"frames.rule": "spread"}, "count"),
    ],
)
def test_wrong_settings_are_named(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_protocol("7scenes", overrides)


def test_an_unknown_benchmark_names_the_choices():
    with pytest.raises(ConfigError, match="nrgbd-sparse"):
        load_protocol("8scenes")
