"""A whole invocation with fake children: exit codes, the guard on profiles, closing words."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from flow3r.errors import ConfigError
from flow3r.files import read_json
from sweeps import session
from sweeps.drawing import Undrawn
from sweeps.executors.child import Child
from sweeps.jobs import REPOSITORY
from sweeps.options import Options

# A child that does what an arm tells it: the formulation "flow" fails.
_CHILD = """
import json, os, socket, sys
sys.path.insert(0, {repository!r})
from pathlib import Path
from experiments.rundir import now
from flow3r.files import write_json
spec = Path(sys.argv[1].removeprefix("spec="))
content = json.loads(spec.read_text())
bad = content["kind"] == "run" and content["spec"]["formulation"]["name"] == {bad!r}
write_json(spec.parent / "status.json", dict(
    state="failed" if bad else "done", reason="loss became nan" if bad else None, attempts=1,
    started=now(), updated=now(), finished=now(), stage="joint", step=1, total_steps=1,
    train_seconds=1.0, seconds=1.0, pid=os.getpid(), host=socket.gethostname()))
sys.exit(1 if bad else 0)
"""


def _digest(spec):
    return f"{hash(str(spec)) % 16**12:012x}"


@pytest.fixture
def invoke(tmp_path, monkeypatch, tiny):
    """Runs the sweep `tiny` with children whose formulation `bad` fails; returns the exit code."""
    fake = tiny.fake()
    monkeypatch.setattr("experiments.compose.load_sweep", lambda name, profile: tiny.sweep)
    monkeypatch.setattr("experiments.compose.compose", fake.compose)
    monkeypatch.setattr("experiments.identity.run_id", _digest)
    monkeypatch.setattr("experiments.stages.required_stages", fake.required_stages)
    summary = SimpleNamespace(table="THE TABLE", answer="The answer.", path=tmp_path / "report.md")
    report = SimpleNamespace(refresh_report=lambda output_dir, sweep: summary)
    monkeypatch.setitem(sys.modules, "analysis.report", report)
    # These children import nothing; the process that warm ones are forked from takes seconds.
    monkeypatch.setattr("sweeps.executors.choice.WarmStart", lambda: Child)

    def run(bad="", **options):
        child = tmp_path / "child.py"
        child.write_text(_CHILD.format(repository=str(REPOSITORY), bad=bad))
        monkeypatch.setattr("sweeps.jobs._script", lambda kind: child)
        words = {"sweep": "tiny", "profile": "smoke", "tracking": False, **options}
        return session.run_sweep(Options(output_dir=tmp_path / "out", **words))

    return run


def test_a_sweep_ends_with_the_table_the_answer_and_where_things_are(
    invoke, capsys, tmp_path, tiny
):
    assert invoke() == 0
    output = capsys.readouterr().out
    for text in ("THE TABLE", "The answer.", f"Report: {tmp_path / 'report.md'}"):
        assert text in output
    plan = read_json(tmp_path / "out" / "reports" / "tiny" / "plan.json")
    assert plan["profile"] == "smoke"
    assert {run["arm"] for run in plan["runs"]} == set(tiny.sweep["arms"])


def test_without_a_report_the_runs_are_made_and_nothing_is_drawn(invoke, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["analysis.report"], "refresh_report", lambda *words: 1 / 0)
    monkeypatch.setattr(session, "draw_all", lambda runs: 1 / 0)
    assert invoke(report=False) == 0
    output = capsys.readouterr().out
    assert "no report, as asked: the same command without report=false writes it" in output
    assert "THE TABLE" not in output


def test_failed_runs_are_listed_with_reason_and_log_and_the_rest_is_reported(invoke, capsys):
    assert invoke(bad="flow") == 1
    output = capsys.readouterr().out
    assert "failed: flow/flow-again seed 0" in output
    assert "loss became nan" in output
    assert "log.txt" in output
    assert "THE TABLE" in output
    assert invoke() == 0  # the same command again tries the failed ones only


def test_another_profile_in_the_same_folder_is_refused(invoke):
    invoke()
    with pytest.raises(ConfigError, match="profile=smoke, not profile=laptop; choose another"):
        invoke(profile="laptop")


def test_the_inline_launcher_shows_the_output_of_the_children(invoke, capsys, tmp_path):
    assert invoke(launcher="inline", seeds=(0,)) == 0
    assert "1 slot" in capsys.readouterr().out


def test_the_mlflow_command_is_printed(invoke, capsys, monkeypatch):
    tracker = SimpleNamespace(finish=lambda: None, draw_figures=lambda: [], experiment="7")
    monkeypatch.setattr(session, "Tracker", lambda *words: tracker)
    invoke(tracking=True)
    output = capsys.readouterr().out
    assert "mlflow ui --backend-store-uri sqlite:///" in output
    assert "http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning" in output


def test_the_report_is_written_after_the_figures_and_before_the_last_sync(
    invoke, monkeypatch, capsys
):
    order = []
    undrawn = [Undrawn("plain seed 0", "no predictions")]
    tracker = SimpleNamespace(
        finish=lambda: order.append("finish"),
        draw_figures=lambda: order.append("draw") or undrawn,
        experiment="7",
    )
    monkeypatch.setattr(session, "Tracker", lambda *words: tracker)
    summary = SimpleNamespace(table="REPORT", answer="", path="report.md")
    monkeypatch.setattr(
        sys.modules["analysis.report"],
        "refresh_report",
        lambda *words: order.append("report") or summary,
    )
    assert invoke(tracking=True) == 0
    assert order == ["draw", "report", "finish"]
    output = capsys.readouterr().out
    assert output.index("REPORT") < output.index("warning: no figures of plain seed 0: no pred")


def test_a_report_that_fails_hides_nothing_else(invoke, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["analysis.report"], "refresh_report", lambda *words: 1 / 0)
    assert invoke(bad="flow") == 1
    captured = capsys.readouterr()
    assert "failed: flow/flow-again seed 0" in captured.out
    assert "python analysis/report.py sweep=tiny output_dir=" in captured.out
    assert "ZeroDivisionError" in captured.err
    assert invoke() == 1


@pytest.mark.parametrize("tracking", [False, True])
def test_figures_are_drawn_here_where_no_tracker_does_it(invoke, monkeypatch, tracking):
    dead = SimpleNamespace(finish=lambda: None, draw_figures=lambda: None, experiment=None)
    monkeypatch.setattr(session, "Tracker", lambda *words: dead)
    drawn = []
    monkeypatch.setattr(session, "draw_all", lambda runs: drawn.extend(runs) or [])
    invoke(tracking=tracking)
    assert "plain seed 0" in [name for name, _ in drawn]


def test_a_preview_shows_states_and_shared_runs(invoke, tmp_path):
    invoke(seeds=(0,))
    options = Options(sweep="tiny", profile="smoke", output_dir=tmp_path / "out", dry_run=True)
    lines = session.preview_sweep(options).splitlines()
    rows = {tuple(line.split()[:2]): line for line in lines}
    assert "done" in rows["plain", "0"]
    assert "pending" in rows["plain", "1"]
    assert "shared with a run above" in rows["flow-again", "0"]
    assert "1 s (measured)" in rows["plain", "1"]
    assert lines[-1].startswith("5 runs, 3 done; time left")
