"""Every number of results.json can be traced to its runs, and comes out the same."""

import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from analysis import trace as traced
from analysis.records import load_records
from analysis.summary import CHANCE, summarise
from flow3r.errors import ConfigError, DataError
from flow3r.files import read_json, write_json

ROOT = Path(analysis.__file__).parent.parent


def write_results(output_dir, sweep):
    """The rows of results.json, without drawing a report."""
    numbers = summarise(load_records(output_dir, sweep))
    rows = {"arms": numbers.arms, "comparisons": numbers.comparisons}
    content = {name: table.to_dict("records") for name, table in rows.items()}
    write_json(output_dir / "reports" / sweep / "results.json", content)
    return content


@pytest.fixture(scope="module")
def studied(store, tmp_path_factory, run_id):
    """A store with gaps: a run that failed, a scene without a value, a run without a metric."""
    output_dir = store(scenes=5, seeds=(0, 1, 2)).write(tmp_path_factory.mktemp("studied"))
    folder = output_dir / "runs"
    status = folder / run_id("formulations", "flow-tracking", 1) / "status.json"
    write_json(status, {**read_json(status), "state": "failed"})
    for seed, dropped in ((0, 1), (1, 5)):
        path = folder / run_id("formulations", "flow-projective", seed) / "evaluation.json"
        evaluation = read_json(path)
        for scene in evaluation["benchmarks"]["dynamic"]["scenes"][:dropped]:
            del scene["metrics"]["auc_30"]
        write_json(path, evaluation)
    return output_dir, write_results(output_dir, "formulations")


def test_every_number_agrees(studied):
    output_dir, content = studied
    count = 0
    for row in content["arms"] + content["comparisons"]:
        if row["arm"] == CHANCE:
            continue
        keys = {k: row[k] for k in ("arm", "benchmark", "metric", "baseline") if k in row}
        found = traced.trace(output_dir, "formulations", row["arm"], row["benchmark"],
                             row["metric"], row.get("baseline", ""))  # fmt: skip
        said = traced.reported(output_dir, "formulations", keys)
        assert traced.disagreements(said, found.found) == [], keys
        count += 1
    assert count > 100


def test_a_difference_can_be_traced_the_other_way_round(studied):
    output_dir, _ = studied
    keys = {"arm": "3d-sup", "baseline": "flow-factored", "benchmark": "static", "metric": "rra_15"}
    found = traced.trace(output_dir, "formulations", "3d-sup", "static", "rra_15", "flow-factored")
    said = traced.reported(output_dir, "formulations", keys)
    assert traced.disagreements(said, found.found) == []


def test_the_sources_are_named(studied, run_id):
    output_dir, _ = studied
    found = traced.trace(output_dir, "formulations", "flow-tracking", "dynamic", "auc_30", "3d-sup")
    assert [[source.seed for source in side] for side in found.sides] == [[0, 2], [0, 2]]
    assert found.planned == 3
    first = found.sides[0][0]
    assert first.run_id == run_id("formulations", "flow-tracking", 0)
    assert first.path == output_dir / "runs" / first.run_id / "evaluation.json"
    assert len(found.scenes) == 5


def command(output_dir, *words):
    keys = ["sweep=formulations", "arm=flow-factored", "benchmark=dynamic", "metric=auc_30"]
    return traced.main([*keys, f"output_dir={output_dir}", *words])


def test_the_command_prints_runs_scenes_and_agreement(studied, capsys, run_id):
    assert command(studied[0], "baseline=3d-sup", "scenes=all") == 0
    said = capsys.readouterr().out
    for arm in ("flow-factored", "3d-sup"):
        for seed in (0, 1, 2):
            assert said.count(run_id("formulations", arm, seed)) == 2  # in the table, as a path
    assert said.count("\n  dynamic/0000") == 5
    assert "benchmarks.dynamic.scenes[*].metrics.auc_30" in said
    assert said.endswith("results.json: agrees\n")
    assert command(studied[0], "baseline=chance") == 0


def test_the_chance_level_is_traced_to_the_files_that_state_it(studied, capsys):
    assert command(studied[0], "arm=chance") == 0
    said = capsys.readouterr().out
    assert said.count("\n5.0  ") == 16  # of 17 finished runs; one has no value of this metric
    assert said.endswith("results.json: agrees\n")


def test_an_outdated_report_is_noticed(store, tmp_path, run_id, capsys):
    store(scenes=3, seeds=(0, 1)).write(tmp_path)
    write_results(tmp_path, "formulations")
    path = tmp_path / "runs" / run_id("formulations", "flow-factored", 0) / "evaluation.json"
    evaluation = read_json(path)
    evaluation["benchmarks"]["dynamic"]["scenes"][0]["metrics"]["auc_30"] += 1.0
    write_json(path, evaluation)
    assert command(tmp_path) == 1
    assert "DIFFERS (mean: " in capsys.readouterr().out


def test_without_a_report_the_number_is_still_traced(store, tmp_path, capsys):
    store(scenes=3, seeds=(0, 1)).write(tmp_path)
    assert command(tmp_path) == 1
    assert "has no such row" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["arm=nobody"], "arm='nobody'"),
        (["baseline=nobody"], "baseline='nobody'"),
        (["benchmark=nowhere"], "benchmark='nowhere'"),
        (["metric=shininess"], "shininess"),
        (["metric=ate"], "no finished run has ate"),
        (["scenes=many"], "scenes='many'"),
        (["colour=red"], "not a setting"),
    ],
)
def test_what_cannot_be_traced_is_said(studied, capsys, words, message):
    assert command(studied[0], *words) == 2
    assert message in capsys.readouterr().err


def test_missing_settings_are_named():
    assert traced.main([]) == 2


def test_unknown_names_are_config_errors(studied):
    with pytest.raises(ConfigError):
        traced.trace(studied[0], "formulations", "nobody", "dynamic", "auc_30")
    with pytest.raises(DataError):
        traced.trace(studied[0], "scaling", "3d-sup", "dynamic", "auc_30")


def test_help_needs_no_heavy_imports():
    done = subprocess.run([sys.executable, "-X", "importtime", "analysis/trace.py", "--help"],
                          cwd=ROOT, capture_output=True, text=True, check=True)  # fmt: skip
    assert "baseline=ARM" in done.stdout
    assert not {"numpy", "pandas", "scipy"} & {
        line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()
    }
