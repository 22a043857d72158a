"""The kernel's counter of kills for want of memory, in both layouts of control groups."""

from __future__ import annotations

import pytest

from sweeps.executors.memory_kills import memory_kills

EVENTS = "low 0\nhigh 3\nmax 9\noom 2\noom_kill 2\noom_group_kill 1\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"


@pytest.mark.parametrize(
    ("membership", "file", "content", "expected"),
    [
        ("0::/user/me\n", "user/me/memory.events", EVENTS, 2),
        ("0::/\n", "memory.events", EVENTS, 2),
        ("0::/hidden/in/a/container\n", "memory.events", EVENTS, 2),
        ("5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n", "memory/x/memory.oom_control", CONTROL, 5),
        ("4:memory:/gone\n", "memory/memory.oom_control", CONTROL, 5),
        ("0::/\n", "memory.current", "1", None),
        ("", "memory.events", EVENTS, None),
    ],
)
def test_the_counter_is_found(tmp_path, membership, file, content, expected):
    (tmp_path / "cgroup").write_text(membership)
    path = tmp_path / "groups" / file
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert memory_kills(tmp_path / "cgroup", tmp_path / "groups") == expected


def test_where_there_are_no_control_groups_nothing_is_known(tmp_path):
    assert memory_kills(tmp_path / "none", tmp_path) is None
