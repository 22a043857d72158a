"""How often the kernel has killed for want of memory in this process's control group."""

from __future__ import annotations

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def memory_kills(membership: Path = MEMBERSHIP, cgroups: Path = CGROUPS) -> int | None:
    """The kernel's counter `oom_kill`; None where it cannot be read.

    Version 2 keeps it in memory.events, version 1 in memory.oom_control. In a container the group's
    own path may not be visible; its root then is what the container has.
    """
    if not membership.exists():
        return None
    for line in membership.read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (
            (cgroups / "memory", "memory.oom_control")
            if controllers
            else (cgroups, "memory.events")
        )
        for folder in (root / group.lstrip("/"), root):
            if (count := _count(folder / name)) is not None:
                return count
    return None


def _count(file: Path) -> int | None:
    if not file.exists():
        return None
    for line in file.read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return None
