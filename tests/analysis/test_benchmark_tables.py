"""The benchmark table: published and own rows apart, empty where nothing was run."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.benchmark_records import load_benchmarks, scores_of
from analysis.benchmarks import main, write_benchmarks
from flow3r.config import from_mapping, to_mapping
from flow3r.errors import DataError
from flow3r.evaluation.protocols.protocol import Protocol
from flow3r.files import write_json

SINTEL = Protocol(
    name="sintel", version=1, label="Sintel", family="dynamic", dataset="sintel",
    metrics=("rpe_translation", "rpe_rotation", "pointmap_mse", "f_score_5"), source="As pi3.",
)  # fmt: skip
CO3D = Protocol(
    name="co3d", version=2, label="CO3Dv2", family="static", dataset="co3d",
    metrics=("rta_30", "auc_30"), source="As pi3.",
    poses=from_mapping(type(SINTEL.poses), {"pooling": "pairs"}),
)  # fmt: skip


def scene(name, weight=1, **metrics):
    weights = {"pairs": weight, "directed_pairs": weight}
    return {"scene": name, "group": name, "frames": 3, "metrics": metrics, "weights": weights}


def record(protocol, scenes, changed=None):
    return {
        "schema": 1, "protocol": to_mapping(protocol), "changed": changed or {},
        "fingerprint": "f", "precision": "float32", "scenes": scenes,
        "source": {"kind": "run", "path": "runs/x", "content": "c"},
    }  # fmt: skip


@pytest.fixture
def output(tmp_path):
    """Two models; `ours` on Sintel and CO3D, `rival` (no points) on Sintel; Bonn not there."""
    bonn = {"name": "bonn", "label": "Bonn", "family": "dynamic", "metrics": [], "version": 1}
    asked = [
        *({"name": p.name, "label": p.label, "family": p.family, "metrics": list(p.metrics),
           "version": p.version} for p in (SINTEL, CO3D)), bonn,
    ]  # fmt: skip
    cells = [
        ("ours", "sintel", "sintel-1", None), ("ours", "co3d", "co3d-1", None),
        ("ours", "bonn", None, "no dataset: paths.bonn= is not given"),
        ("rival", "sintel", "sintel-2", None), ("rival", "co3d", "co3d-2", None),
        ("rival", "bonn", None, "no dataset: paths.bonn= is not given"),
    ]  # fmt: skip
    write_json(
        tmp_path / "reports/benchmarks/plan.json",
        {
            "models": [{"name": "ours"}, {"name": "rival"}],
            "benchmarks": asked,
            "cells": [
                dict(zip(("model", "benchmark", "evaluation", "missing"), cell)) for cell in cells
            ],
        },
    )
    points = {"pointmap_mse": 0.5, "f_score_5": 40.0}
    scenes = [
        scene("a", rpe_translation=0.1, rpe_rotation=1.0, **points),
        scene("b", rpe_translation=0.3, rpe_rotation=2.0, **points),
    ]
    write_evaluation(tmp_path, "sintel-1", record(SINTEL, scenes))
    pooled = [scene("a", 1, rta_30=100.0, auc_30=50.0), scene("b", 3, rta_30=80.0, auc_30=50.0)]
    write_evaluation(tmp_path, "co3d-1", record(CO3D, pooled, {"size.width": 64}))
    poses_only = [scene("a", rpe_translation=0.2, rpe_rotation=3.0)]
    write_evaluation(tmp_path, "sintel-2", record(SINTEL, poses_only))
    write_json(
        tmp_path / "evaluations/co3d-2/status.json", {"state": "failed", "reason": "out of memory"}
    )
    return tmp_path


def write_evaluation(folder, name, content):
    write_json(folder / "evaluations" / name / "evaluation.json", content)
    write_json(folder / "evaluations" / name / "status.json", {"state": "done"})


DYNAMIC = """\
| method | Kinetics-700 RPE t ↓ | Kinetics-700 RPE r (deg) ↓ | Kinetics-700 MSE ↓ | Kinetics-700 F@5 ↑ | EPIC-Kitchens RPE t ↓ | EPIC-Kitchens RPE r (deg) ↓ | EPIC-Kitchens MSE ↓ | EPIC-Kitchens F@5 ↑ | Sintel RPE t ↓ | Sintel RPE r (deg) ↓ | Sintel MSE ↓ | Sintel F@5 ↑ | Bonn RPE t ↓ | Bonn RPE r (deg) ↓ | Bonn MSE ↓ | Bonn F@5 ↑ |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| *Published: the paper's Table 2, not run here* |  |  |  |  |  |  |  |  |  |  |  |  |  |  |  |  |
| DUSt3R | 0.063 | 9.343 | 0.366 | 0.533 | 0.110 | 8.492 | 0.312 | 0.528 | 0.179 | 15.166 | 0.622 | 0.271 | 0.113 | 6.384 | 0.116 | 0.800 |
| CUT3R | 0.027 | 1.988 | 0.303 | 0.573 | 0.081 | 4.709 | 0.338 | 0.493 | 0.128 | 1.998 | 0.676 | 0.217 | 0.095 | 6.349 | 0.088 | 0.899 |
| VGGT | 0.038 | 1.392 | 0.347 | 0.479 | 0.049 | 3.025 | 0.220 | 0.617 | 0.086 | 1.220 | 0.595 | 0.311 | 0.096 | 6.021 | 0.082 | 0.884 |
| pi3 | 0.023 | 1.006 | 0.267 | 0.585 | 0.043 | 3.025 | 0.200 | 0.620 | 0.066 | 1.122 | 0.523 | 0.317 | 0.095 | 6.240 | 0.076 | 0.905 |
| Flow3r | 0.018 | 0.830 | 0.256 | 0.599 | 0.037 | 2.729 | 0.199 | 0.622 | 0.058 | 0.920 | 0.426 | 0.404 | 0.094 | 6.262 | 0.052 | 0.954 |
| *Own evaluations, by the protocols of this repository* |  |  |  |  |  |  |  |  |  |  |  |  |  |  |  |  |
| ours |  |  |  |  |  |  |  |  | 0.200 ± 1.271 | 1.500 ± 6.353 | 0.500 ± 0.000 | 0.400 ± 0.000 |  |  |  |  |
| rival |  |  |  |  |  |  |  |  | 0.200 | 3.000 | – | – |  |  |  |  |
"""  # noqa: E501


def test_the_dynamic_half(output):
    write_benchmarks(output)
    tables = output / "reports/benchmarks/tables"
    assert (tables / "dynamic.md").read_text().startswith(DYNAMIC)
    assert (
        "by our own definitions, since the paper gives none" in (tables / "dynamic.md").read_text()
    )
    latex = (tables / "dynamic.tex").read_text()
    assert latex.count(r"\midrule") == 2
    assert latex.splitlines()[0] == r"\begin{tabular}{lrrrrrrrrrrrrrrrr}"


def test_the_static_half_pools_as_the_protocol_says(output):
    write_benchmarks(output)
    text = (output / "reports/benchmarks/tables/static.md").read_text()
    [flow3r] = [line for line in text.splitlines() if line.startswith("| Flow3r |")]
    cells = [cell.strip() for cell in flow3r.strip("|").split("|")]
    assert cells[1:5] == ["97.62", "90.41", "0.150", "0.876"]
    assert cells[-4:] == ["91.66", "75.76", "0.102", "0.807"]
    [ours] = [line for line in text.splitlines() if line.startswith("| ours |")]
    cells = [cell.strip() for cell in ours.strip("|").split("|")]
    assert cells[1].startswith("85.00 ±")  # (100 + 3 * 80) / 4
    assert cells[2:5] == ["50.00 ± 0.00", "–", "–"]
    assert set(cells[5:]) == {""}


def test_plain_numbers_and_scenes(output):
    write_benchmarks(output)
    folder = output / "reports/benchmarks"
    data = pd.read_csv(folder / "tables/dynamic.csv")
    assert set(data["source"]) == {"published", "own"}
    published = data[data["source"] == "published"]
    assert len(published) == 4 * 5 * 4
    assert published["low"].isna().all()
    own = data[(data["method"] == "ours") & (data["metric"] == "f_score_5")]
    assert own["value"].tolist() == [40.0]
    f_scores = published[published["metric"] == "f_score_5"]["value"]
    assert f_scores.min() > 20, "percent, as ours"
    results = json.loads((folder / "results.json").read_text())
    assert results["evaluations"][0]["scenes"][1]["metrics"]["rpe_rotation"] == 2.0
    reasons = {(m["model"], m["benchmark"]): m["reason"] for m in results["missing"]}
    assert reasons[("rival", "co3d")] == "failed: out of memory"
    assert reasons[("ours", "bonn")] == "no dataset: paths.bonn= is not given"


def test_the_report_says_what_was_changed_and_what_is_missing(output):
    write_benchmarks(output)
    text = (output / "reports/benchmarks/report.md").read_text()
    assert "Changed here: size.width=64; not comparable with other settings." in text
    assert "rival on bonn: no dataset" in text
    assert "CO3Dv2, version 2: As pi3." in text
    assert (output / "reports/benchmarks/report.html").exists()


def test_the_interval_of_a_plain_mean_is_students():
    values = [0.1, 0.4, 0.2, 0.9]
    scenes = [scene(str(k), rpe_rotation=value) for k, value in enumerate(values)]
    found = scores_of(SINTEL, scenes)["rpe_rotation"]
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) / math.sqrt(4)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))


def test_intervals_over_many_scenes_hold_the_truth():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        weights = rng.integers(1, 9, 120)
        values = rng.normal(3.0, 1.0, 120)
        scenes = [
            scene(str(k), int(w), auc_30=float(v)) for k, (w, v) in enumerate(zip(weights, values))
        ]
        found = scores_of(CO3D, scenes)["auc_30"]
        hits += found.low <= 3.0 <= found.high
    assert 0.91 <= hits / 200 <= 0.985


def test_without_a_plan_there_is_no_table(tmp_path, capsys):
    with pytest.raises(DataError, match=r"plan\.json is missing"):
        load_benchmarks(tmp_path)
    assert main([f"output_dir={tmp_path}"]) == 2
    assert "plan.json is missing" in capsys.readouterr().err


def test_the_command_prints_the_table(output, capsys):
    assert main([f"output_dir={output}"]) == 0
    printed = capsys.readouterr().out
    assert "Dynamic benchmarks" in printed
    assert "Published: the paper's Table 3, not run here" in printed
