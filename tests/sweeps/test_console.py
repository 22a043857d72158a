"""What the consoles say, given what happens."""

from __future__ import annotations

import io
import json
import math

import pytest
from rich.console import Console as Terminal

from flow3r.errors import ConfigError
from flow3r.files import write_json
from sweeps.console import Console, make_console
from sweeps.console.choice import jobs_echo
from sweeps.console.events import JsonConsole
from sweeps.console.latest import latest_value
from sweeps.console.live import LiveConsole, render
from sweeps.console.plain import PlainConsole
from sweeps.console.progress import Running, Snapshot, Watch, take_snapshot
from sweeps.executors.ledger import ACTIVE, DONE, ELSEWHERE, Ledger, Outcome
from sweeps.executors.resources import Slot
from sweeps.jobs import Job
from sweeps.options import Options
from sweeps.timekeeping.cost import CostModel


def job(folder, name, arm="flow", kind="run", seed=0):
    spec = {"seed": seed, "formulation": {"name": arm}}
    label = f"{arm} seed {seed}" if kind == "run" else f"stage {name}"
    return Job(name, kind, label, folder / name, (), (), spec)


def running(**values):
    blank = {
        "id": "0737bdb0e500",
        "kind": "run",
        "arm": "flow-factored",
        "seed": 0,
        "stage": "joint",
        "step": 5,
        "total_steps": 350,
        "loss": 1.25,
        "eta": 75.0,
        "where": "slot 0",
    }
    return Running(**{**blank, **values})


def snapshot(*jobs):
    return Snapshot(runs=30, done=12, failed=1, waiting=15, running=jobs, eta=480.0)


def started(job, status, metrics=()):
    blank = {"state": "running", "attempts": 1, "train_seconds": 0.0, "step": 0, "total_steps": 0}
    times = {"started": "2020-01-01T00:00:00+00:00", "updated": "2020-01-01T00:00:00+00:00"}
    write_json(job.directory / "status.json", {**blank, **times, **status})
    lines = "".join(json.dumps(line) + "\n" for line in metrics)
    (job.directory / "metrics.jsonl").write_text(lines)


def shown(content, width):
    terminal = Terminal(file=io.StringIO(), width=width)
    terminal.print(content)
    return terminal.file.getvalue().rstrip("\n").split("\n")


# -- what there is to show -------------------------------------------------------------------


def test_a_snapshot_counts_and_says_where_runs_are(tmp_path):
    runs = [job(tmp_path, name, seed=i) for i, name in enumerate("abcde")]
    ledger, work = Ledger(runs[1:]), {}  # the first was finished before
    costs = CostModel({"run": 100.0})
    watch = Watch(Console(lambda ledger: None, io.StringIO()), costs, work)
    watch.started(runs[1], Slot(1))
    write_json(runs[1].directory / "status.json", {"state": "done", "seconds": 60.0})
    watch.ended(runs[1], Outcome(DONE))
    ledger.settle("b", Outcome(DONE))
    watch.started(runs[2], Slot(0, gpu="3"))
    ledger.mark("c", ACTIVE)
    ledger.mark("d", ELSEWHERE)
    metrics = [{"step": 2, "stage": "joint", "metrics": {"train/loss": 0.5}}]
    started(runs[2], {"stage": "joint", "step": 2, "total_steps": 8, "train_seconds": 10}, metrics)
    now = take_snapshot(runs, ledger, costs, slots=1, work=work)
    assert (now.runs, now.done, now.failed, now.waiting, now.elsewhere) == (5, 2, 0, 1, 1)
    mine, other = now.running
    assert (mine.id, mine.arm, mine.seed, mine.where, mine.loss) == ("c", "flow", 2, "GPU 3", 0.5)
    assert (other.id, other.where, other.loss, other.stage) == ("d", ELSEWHERE, None, "start")
    assert mine.eta == pytest.approx(0.75 * 60, abs=10)  # what b took, which took no profile's 100
    assert now.line().startswith("2/5 runs done, 1 running, 1 elsewhere, 1 waiting, 0 failed, ETA ")


def test_the_latest_value_is_that_of_the_last_whole_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert latest_value(path, "train/loss") is None
    lines = [{"step": i, "metrics": {"train/loss": i / 2, "x": "y" * 90}} for i in range(200)]
    lines.append({"step": 200, "metrics": {"validation/static/rra_15": 0.5}})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_text(text + '{"step": 201, "metr')
    assert latest_value(path, "train/loss") == 99.5
    assert latest_value(path, "train/flow") is None
    broken = {"step": 201, "metrics": {}, "nonfinite": {"train/loss": "inf"}}
    path.write_text(text + json.dumps(broken) + "\n")
    assert math.isnan(latest_value(path, "train/loss"))


# -- the live table --------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_fits_with_names_of_any_length(width):
    long = "flow-factored-with-a-ladder-of-many-steps/flow-labelled-and-everything-else seed"
    jobs = [
        running(arm=long, step=100000, total_steps=350000, where=ELSEWHERE, eta=7500.0),
        running(),
        running(id="dataset-44de980434fb", kind="dataset", arm="dataset", seed=None, loss=None),
    ]
    lines = shown(render(snapshot(*jobs), width), width)
    assert len(lines) == 5  # the summary, the header, a line per job
    assert max(map(len, lines)) <= width
    assert "2 running, 1 elsewhere, 15 waiting, 1 failed, ETA 8 min" in lines[0]
    header = "run arm seed stage step loss ETA slot"
    assert lines[1].split() == header.split()
    assert "100000/350000" in lines[2]
    assert "2 h 05 min" in lines[2]
    assert "elsewhere" in lines[2]
    assert "flow-fa" in lines[2]
    assert "…" in lines[2]
    assert long not in lines[2]
    factored = "0737bdb0e500 flow-factored 0 joint 5/350 1.25 75 s 0"
    assert " ".join(lines[3].split()) == factored or width == 80
    assert lines[4].split()[:2] == ["44de980434fb", "dataset"]


def test_a_loss_that_is_no_number_is_said_to_be_none():
    lines = shown(render(snapshot(running(loss=float("nan"), eta=None)), 100), 100)
    assert "not finite" in lines[2]
    assert shown(render(snapshot(), 100), 100) == [snapshot().line()]


def test_the_live_console_shows_the_table_and_takes_it_away(tmp_path):
    terminal = Terminal(file=io.StringIO(), width=100, force_terminal=True)
    console = LiveConsole(lambda ledger: snapshot(running()), terminal)
    console.tick(Ledger([]))
    assert "flow-factored" in terminal.file.getvalue()
    console.started(job(tmp_path, "a"), Slot(1))
    console.close()
    console.close()
    assert "start  flow seed 0 (a) on slot 1" in terminal.file.getvalue()


# -- lines, nothing, and events --------------------------------------------------------------


def test_the_plain_console_says_what_starts_and_ends(tmp_path):
    output = io.StringIO()
    console = PlainConsole(lambda ledger: None, output)
    one = job(tmp_path, "a")
    console.started(one, Slot(1))
    console.requeued(one, "killed by SIGKILL")
    console.ended(one, Outcome("failed", "loss became nan"))
    console.ended(job(tmp_path, "b", seed=1), Outcome(DONE))
    console.ended(job(tmp_path, "dataset-c", kind="dataset"), Outcome(DONE))  # nothing was done
    console.finished(1, ["failed: flow seed 0"])
    *lines, last = output.getvalue().splitlines()
    lines = [line.split("] ")[1] for line in lines]
    assert lines[0] == "start  flow seed 0 (a) on slot 1"
    assert lines[1] == "again  flow seed 0 (a): killed by SIGKILL"
    assert lines[2].startswith("failed flow seed 0 (a) after 0 s: loss became nan")
    assert lines[3].strip() == f"log: {one.directory / 'log.txt'}"
    assert lines[4] == "done   flow seed 1 (b) already"
    assert last == "failed: flow seed 0"


def test_the_quiet_console_says_the_end_alone(tmp_path):
    output = io.StringIO()
    _tell_everything(Console(lambda ledger: snapshot(), output), tmp_path)
    assert output.getvalue() == "the table\nthe answer\n"


def test_the_json_console_writes_one_object_per_event(tmp_path, monkeypatch):
    monkeypatch.setattr("sweeps.console.events._PROGRESS_SECONDS", 0.0)
    output = io.StringIO()
    jobs = running(loss=float("nan")), running(id="b", where=ELSEWHERE, eta=None)
    _tell_everything(JsonConsole(lambda ledger: snapshot(*jobs), output), tmp_path)
    events = [json.loads(line) for line in output.getvalue().splitlines()]
    names = ["plan", "note", "started", "progress", "requeued", "ended", "ended", "finished"]
    assert [event["event"] for event in events] == names
    plan, note, began, progress, again, failed, skipped, finished = events
    assert (plan["runs"], note["text"]) == (2, "drawing")
    assert (began["id"], began["arm"], began["seed"], began["slot"]) == ("a", "flow", 0, "slot 1")
    assert progress["eta_seconds"] == 480.0
    assert (progress["running"], progress["elsewhere"], progress["waiting"]) == (1, 1, 15)
    assert (progress["jobs"][0]["loss"], progress["jobs"][0]["eta_seconds"]) == ("nan", 75.0)
    assert (progress["jobs"][1]["slot"], progress["jobs"][1]["eta_seconds"]) == (ELSEWHERE, None)
    assert again["reason"] == "killed by SIGKILL"
    assert (failed["state"], failed["reason"], failed["seconds"]) == ("failed", "exit code 1", None)
    assert (skipped["state"], skipped["seconds"]) == (DONE, None)
    assert finished["exit_code"] == 1
    assert finished["report"] == str(tmp_path / "report.md")
    assert finished["words"] == ["the table", "the answer"]


def _tell_everything(console, folder):
    one = job(folder, "a")
    console.planned("sweep tiny: 2 runs", {"runs": 2})
    console.say("drawing")
    console.started(one, Slot(1))
    console.tick(Ledger([]))
    console.requeued(one, "killed by SIGKILL")
    console.ended(one, Outcome("failed", "exit code 1"))
    console.ended(job(folder, "b"), Outcome(DONE))
    console.close()
    console.finished(1, ["the table", "the answer"], folder / "report.md")


# -- which one -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("console", "launcher", "terminal", "expected", "echo"),
    [
        ("auto", "local", True, LiveConsole, False),
        ("auto", "local", False, PlainConsole, False),
        ("auto", "inline", True, PlainConsole, True),
        ("plain", "inline", False, PlainConsole, True),
        ("live", "inline", True, LiveConsole, False),
        ("quiet", "inline", True, Console, False),
        ("json", "inline", False, JsonConsole, False),
    ],
)
def test_the_choice(monkeypatch, console, launcher, terminal, expected, echo):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    options = Options(sweep="formulations", console=console, launcher=launcher)
    made = make_console(options, lambda ledger: snapshot())
    made.close()
    assert type(made) is expected
    assert jobs_echo(options) == echo


def test_a_live_table_needs_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    with pytest.raises(ConfigError, match="console=live needs a terminal"):
        make_console(Options(sweep="formulations", console="live"), lambda ledger: snapshot())
