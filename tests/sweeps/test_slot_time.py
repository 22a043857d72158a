"""Where the time of the slots went."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from flow3r.errors import ConfigError
from flow3r.files import write_json
from sweeps.efficiency import main
from sweeps.executors.ledger import DONE, Outcome
from sweeps.executors.resources import Slot
from sweeps.jobs import Job
from sweeps.timekeeping.slot_time import account, in_text, read_timeline
from sweeps.timekeeping.timeline import BEGIN, END, HELD, Timeline, timeline_path


@pytest.fixture
def write(tmp_path):
    """Writes the timeline of the sweep `tiny`, and what runs say of their parts."""
    path = timeline_path(tmp_path, "tiny")
    path.parent.mkdir(parents=True)

    def write(*events, **runs):
        lines = "".join(json.dumps({"time": 0.0, **event}) + "\n" for event in events)
        path.write_text(lines + '{"event": "held", "ti')  # killed while it wrote
        for name, (train, validate, evaluate) in runs.items():
            parts = {"train": train, "validate": validate, "evaluate": evaluate}
            status = {f"{part}_seconds": seconds for part, seconds in parts.items()}
            write_json(tmp_path / "runs" / name / "status.json", status)

    return write


def held(job, seconds, kind="run", state="done", at=0.0):
    return {"event": HELD, "time": at, "job": job, "kind": kind, "state": state, "seconds": seconds}


def test_every_second_of_the_slots_has_a_name(tmp_path, write):
    write(
        {"event": BEGIN, "slots": 2},
        held("pretrain-1", 50.0, kind="pretrain"),
        held("a", 30.0, state="requeued"),  # two attempts of one run
        held("a", 74.0),
        held("b", 20.0),
        {"event": END, "seconds": 100.0},
        a=(90.0, 4.0, 6.0),
        b=(10.0, 2.0, 5.0),
    )
    found = account(tmp_path, "tiny")
    assert (found["runs"], found["wall_seconds"], found["slot_seconds"]) == (2, 100.0, 200.0)
    assert found["seconds"] == {
        "training": 100.0,
        "evaluation": 17.0,
        "overhead": 7.0,
        "stages": 50.0,
        "idle": 26.0,
    }
    assert found["efficiency"] == 0.5
    assert found["work"] == 167 / 200
    assert found["run_efficiency"] == 117 / 124
    assert found["long_run_efficiency"] == 100 / 104  # a alone trains for a minute
    assert found["overhead_per_run"] == {"median": 3.5, "least": 3.0, "most": 4.0}
    assert "overhead of a run: 3.50 s (3.00 to 4.00)" in in_text(found)


def test_an_invocation_that_was_killed_ends_with_its_last_line(tmp_path, write):
    write(
        {"event": BEGIN, "time": 1000.0, "slots": 2},
        held("a", 30.0, at=1040.0),
        {"event": BEGIN, "time": 5000.0, "slots": 1},
        held("b", 8.0, at=5010.0),
        {"event": END, "time": 5011.0, "seconds": 10.5},
        {"event": BEGIN, "time": 6000.0, "slots": 4},
        held("c", 1.0, at=6002.0),
    )
    found = account(tmp_path, "tiny")
    assert (found["wall_seconds"], found["slot_seconds"]) == (52.5, 2 * 40.0 + 10.5 + 4 * 2.0)
    assert found["overhead_per_run"]["most"] == 30.0  # no status: nothing is known to be useful


def test_training_that_was_taken_over_is_no_work_of_this_sweep(tmp_path, write):
    write(
        {"event": BEGIN, "slots": 1}, held("a", 8.0), {"event": END, "seconds": 10.0}, a=(90, 0, 5)
    )
    write_json(tmp_path / "runs" / "a" / "provenance.json", {"trained_by": {"run": "b"}})
    found = account(tmp_path, "tiny")
    assert found["efficiency"] == 0.0
    assert found["overhead_per_run"]["median"] == 3.0


def test_a_sweep_in_which_nothing_ran(tmp_path, write):
    write({"event": BEGIN, "slots": 2}, {"event": END, "seconds": 0.0})
    found = account(tmp_path, "tiny")
    assert (found["efficiency"], found["overhead_per_run"]) == (None, None)
    assert "efficiency (training / slot time) -" in in_text(found)


def test_the_timeline_says_what_was_held_and_passes_everything_on(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    path = timeline_path(tmp_path, "tiny")
    path.parent.mkdir(parents=True)
    heard = []
    names = ("started", "requeued", "ended", "tick")
    observer = SimpleNamespace(**{n: lambda *a, n=n: heard.append((n, *a)) for n in names})
    timeline = Timeline(path, 2, observer)
    job, other = (Job(name, "run", name, tmp_path, (), (), {}) for name in "ab")
    with timeline.recording():
        timeline.started(job, Slot(1))
        clock.now = 3.0
        timeline.requeued(job, "killed by SIGKILL")
        timeline.started(job, Slot(0))
        clock.now = 8.0
        timeline.ended(job, Outcome(DONE))
        timeline.ended(other, Outcome(DONE))  # done before: held nothing
    timeline.tick(None)
    events = read_timeline(tmp_path, "tiny")
    assert [event["event"] for event in events] == [BEGIN, HELD, HELD, END]
    assert [(e["slot"], e["state"], e["seconds"]) for e in events[1:3]] == [
        ("slot 1", "requeued", 3.0),
        ("slot 0", "done", 5.0),
    ]
    assert events[3]["seconds"] == 8.0
    assert [name for name, *_ in heard] == [*names[:2], "started", "ended", "ended", "tick"]


def test_the_script(tmp_path, write, capsys):
    write(
        {"event": BEGIN, "slots": 1}, held("a", 8.0), {"event": END, "seconds": 10.0}, a=(6, 0, 1)
    )
    assert main([f"output_dir={tmp_path}"]) == 0
    assert "sweep tiny: 1 runs, wall time 10 s" in capsys.readouterr().out
    assert main([f"output_dir={tmp_path}", "sweep=tiny", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["efficiency"] == 0.6
    with pytest.raises(ConfigError, match="no timeline"):
        main([f"output_dir={tmp_path}", "sweep=other"])
    with pytest.raises(ConfigError, match="holds no sweep"):
        main([f"output_dir={tmp_path / 'runs'}"])
    with pytest.raises(ConfigError, match="format=text"):
        main(["format=xml"])
