"""Ten thousand runs of fifty scenes: the right table, in seconds."""

import json
import time

import numpy as np
import pytest

from analysis import record_cache
from analysis.records import load_records, score_matrices
from analysis.summary import compare

ARMS = tuple(f"arm-{i}" for i in range(10))
METRICS = ("rra_15", "rta_30", "auc_30", "pointmap_mse", "chamfer", "depth_abs_rel")
SCENES = 50
MARK = "[the run's own number]"


def score(arm, seed):
    """Of every scene and metric; all that differs between runs."""
    return 50.0 + arm + seed / 1000


def write_large(output_dir, seeds):
    """Evaluations as the runs write them (indented, every scene), from one text."""
    rows = [{"scene": f"dynamic/{k:06d}", "metrics": dict.fromkeys(METRICS, MARK)}
            for k in range(SCENES)]  # fmt: skip
    for row in rows:
        row["metrics"]["rra_30"] = 40.0 + int(row["scene"][-2:])  # not the same everywhere
    benchmark = {"fingerprint": "f", "scenes": rows, "summary": {}, "chance": {"rra_15": 40.0}}
    evaluation = json.dumps({"step": 8, "benchmarks": {"dynamic": benchmark}}, indent=1)
    status = json.dumps({"state": "done", "step": 8, "total_steps": 8})
    provenance = json.dumps({"git_commit": "abc", "git_dirty": False})
    runs = []
    for seed in range(seeds):
        for index, arm in enumerate(ARMS):
            run_id = f"{index}x{seed:06d}"
            folder = output_dir / "runs" / run_id
            folder.mkdir(parents=True)
            own = evaluation.replace(f'"{MARK}"', str(score(index, seed)))
            (folder / "evaluation.json").write_text(own)
            (folder / "status.json").write_text(status)
            (folder / "provenance.json").write_text(provenance)
            runs.append({"arm": arm, "seed": seed, "run_id": run_id})
    asked = {"arm": ARMS[1], "baseline": ARMS[0], "benchmark": "dynamic", "metrics": ["rra_15"]}
    arms = [{"arm": arm, "formulation": arm} for arm in ARMS]
    plan = {"sweep": "large", "profile": "smoke", "baseline": ARMS[0], "headline": asked,
            "arms": arms, "runs": runs}  # fmt: skip
    path = output_dir / "reports" / "large" / "plan.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(plan))
    return output_dir


def check(records, seeds):
    assert records.complete
    values, found, scenes = score_matrices(records, [ARMS[3], ARMS[0]], "dynamic", "auc_30")
    assert values.shape == (2, seeds, SCENES)
    assert (found, len(scenes)) == (list(range(seeds)), SCENES)
    np.testing.assert_allclose(values[0, :, 7], [score(3, seed) for seed in range(seeds)])
    difference = compare(records, ARMS[3], ARMS[0], "dynamic", "auc_30")
    assert difference.mean == pytest.approx(3.0)
    assert difference.seeds == seeds


def test_a_few_hundred_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(record_cache, "SETTLED_NS", 0)
    write_large(tmp_path, 30)
    for _ in range(2):  # parsed, then from the cache
        check(load_records(tmp_path, "large"), 30)
    assert (tmp_path / "reports/large" / record_cache.NAME).is_file()


@pytest.mark.slow
def test_ten_thousand_runs(tmp_path, monkeypatch):
    """The bounds are generous: on two idle cores it takes a few seconds, cached about one."""
    monkeypatch.setattr(record_cache, "SETTLED_NS", 0)
    write_large(tmp_path, 1000)
    took = []
    for _ in range(2):
        start = time.perf_counter()
        records = load_records(tmp_path, "large")
        took.append(time.perf_counter() - start)
        check(records, 1000)
    assert took[0] < 60
    assert took[1] < 15
    scores = records.scores
    assert len(scores) == 10_000 * SCENES * (len(METRICS) + 1)
    assert set(scores["arm"].cat.categories) == set(ARMS)
