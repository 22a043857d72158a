"""Every number of results.json can be traced to its runs, and comes out the same."""

import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from analysis import trace as traced
from analysis.plan import read_plan
from analysis.records import load_records
from analysis.summary import CHANCE, summarise
from analysis.verdict_words import verdict_record
from analysis.verdicts import answer_questions
from flow3r.files import read_json, write_json

ROOT = Path(analysis.__file__).parent.parent


def write_results(output_dir, sweep):
    """The rows of results.json, without drawing a report."""
    numbers = summarise(load_records(output_dir, sweep))
    rows = {"arms": numbers.arms, "comparisons": numbers.comparisons}
    content = {name: table.to_dict("records") for name, table in rows.items()}
    answers = answer_questions(load_records(output_dir, sweep))
    content["verdicts"] = [verdict_record(answer) for answer in answers]
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


def plan_of(output_dir):
    return read_plan(output_dir, "formulations")


def test_every_number_agrees(studied):
    output_dir, content = studied
    count = 0
    for row in content["arms"] + content["comparisons"]:
        if row["arm"] == CHANCE:
            continue
        keys = {k: row[k] for k in ("arm", "benchmark", "metric", "baseline") if k in row}
        _, found = traced.trace_score(output_dir, plan_of(output_dir), row, row.get("baseline", ""))
        said = traced.reported(output_dir, "formulations", keys)
        assert traced.disagreements(said, found) == [], keys
        count += 1
    assert count > 100


def test_a_difference_can_be_traced_the_other_way_round(studied):
    output_dir, _ = studied
    keys = {"arm": "3d-sup", "baseline": "flow-factored", "benchmark": "static", "metric": "rra_15"}
    _, found = traced.trace_score(output_dir, plan_of(output_dir), keys, "flow-factored")
    said = traced.reported(output_dir, "formulations", keys)
    assert traced.disagreements(said, found) == []


def test_the_sources_are_named(studied, run_id):
    output_dir, _ = studied
    place = {"arm": "flow-tracking", "benchmark": "dynamic", "metric": "auc_30"}
    found, _ = traced.trace_score(output_dir, plan_of(output_dir), place, "3d-sup")
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


def questioned(recorded, folder):
    """The ids of the questions of a store, with its results written."""
    content = write_results(recorded.write(folder), recorded.sweep)
    return [row["id"] for row in content["verdicts"]]


def difference(name, arm, **changes):
    asked = {
        "id": name,
        "question": "Is it?",
        "metric": "auc_30",
        "benchmark": "dynamic",
        "smallest_difference": 0.5,
        "difference": {"arm": arm, "baseline": "3d-sup"},
    }
    return {**{k: v for k, v in asked.items() if k not in changes}, **changes}


def test_every_verdict_can_be_traced(store, tmp_path, capsys):
    """Alone, corrected in a family, of an order, and of a sweep that is not finished."""
    order = {"id": "o", "question": "Ordered?", "metric": "rra_15", "benchmark": "static",
             "smallest_difference": 0.5,
             "order": [["flow-factored"], ["3d-sup"], ["flow-projective"]]}  # fmt: skip
    asked = [difference("a", "flow-factored"), difference("b", "flow-tracking", family="f"),
             difference("c", "flow-labelled", family="f"), order]  # fmt: skip
    ids = questioned(store(scenes=4, seeds=(0, 1, 2), questions=asked), tmp_path)
    for name in ids:
        assert (
            traced.main(["sweep=formulations", f"question={name}", f"output_dir={tmp_path}"]) == 0
        )
        assert "results.json: agrees" in capsys.readouterr().out
    assert traced.main(["sweep=formulations", "question=z", f"output_dir={tmp_path}"]) == 2
    assert "question='z'" in capsys.readouterr().err


def test_a_look_at_an_unfinished_sweep_can_be_traced(store, tmp_path, run_id, capsys):
    recorded = store(scenes=4, seeds=(0, 1, 2), questions=[difference("a", "flow-factored")])
    recorded.write(tmp_path)
    status = tmp_path / "runs" / run_id("formulations", "flow-factored", 2) / "status.json"
    write_json(status, {**read_json(status), "state": "running"})
    write_results(tmp_path, "formulations")
    assert traced.main(["sweep=formulations", "question=a", f"output_dir={tmp_path}"]) == 0
    assert "mean over 2 of 3 planned seeds" in capsys.readouterr().out


def test_a_slope_can_be_traced(scaling, tmp_path, capsys):
    asked = {k: v for k, v in difference("s", "").items() if k != "difference"}
    questioned(scaling(scenes=4, questions=[{**asked, "slope": "unlabelled_clips"}]), tmp_path)
    assert traced.main(["sweep=scaling", "question=s", f"output_dir={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert said.count(" factored-") == 6 * 3
    assert "weighted sum for seeds 0, 1, 2: +" in said


def test_help_needs_no_heavy_imports():
    done = subprocess.run([sys.executable, "-X", "importtime", "analysis/trace.py", "--help"],
                          cwd=ROOT, capture_output=True, text=True, check=True)  # fmt: skip
    assert "baseline=ARM" in done.stdout
    assert not {"numpy", "pandas", "scipy"} & {
        line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()
    }
