"""Stand-ins for Slurm's programs: sbatch fills a queue, squeue prints it, nothing is run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

_PROGRAMS = {
    "sbatch": """
if [ -e "$here/refusal" ]; then cat "$here/refusal" >&2; exit 1; fi
id=$(( $(cat "$here/count") + 1 ))
cp "$1" "$here/$id.sh"
name=$(sed -n 's/^#SBATCH --job-name=//p' "$1")
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$1")
if [ -n "$last" ]
then for i in $(seq 0 $last); do echo "${id}_$i|PENDING|$name"; done >> "$here/queue"
else echo "$id|PENDING|$name" >> "$here/queue"; fi
echo $id > "$here/count.new"; mv "$here/count.new" "$here/count"
echo "Submitted batch job $id"
""",
    "squeue": """
if [ -e "$here/down" ]; then echo "squeue: error: no controller" >&2; exit 1; fi
cat "$here/queue"
""",
    "scancel": """
for id in "$@"; do sed -i "s/^$id|[A-Z]*|/$id|CANCELLED|/" "$here/queue"; done
""",
    "scontrol": "exit 1",
    "srun": "exit 1",
}


class FakeSlurm:
    """What was submitted, and a queue to write into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "count").write_text("0")
        (folder / "queue").write_text("")
        for name, body in _PROGRAMS.items():
            path = folder / name
            path.write_text(f'#!/bin/sh\nhere=$(dirname "$0")\n{body}')
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def submitted(self) -> list[str]:
        """The sbatch files, in the order of submission."""
        count = int((self.folder / "count").read_text())
        return [(self.folder / f"{i + 1}.sh").read_text() for i in range(count)]

    def states(self) -> dict[str, str]:
        """Task -> its state in the queue."""
        lines = (self.folder / "queue").read_text().split()
        return {task: state for task, state, _ in (line.split("|") for line in lines)}

    def end(self, task: str, state: str) -> None:
        """Let a task end in the queue, without a word in its run directory."""
        queue = (self.folder / "queue").read_text()
        name = next(line.split("|")[2] for line in queue.split() if line.startswith(f"{task}|"))
        before = f"{task}|{self.states()[task]}|{name}"
        (self.folder / "queue").write_text(queue.replace(before, f"{task}|{state}|{name}"))

    def refuse(self, words: str) -> None:
        """What sbatch says from now on, instead of submitting."""
        (self.folder / "refusal").write_text(words)

    def take_down(self) -> None:
        """The controller gives no answer from now on."""
        (self.folder / "down").touch()

    def bring_up(self) -> None:
        (self.folder / "down").unlink()


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    fake = FakeSlurm(tmp_path / "slurm-programs")
    monkeypatch.setenv("PATH", f"{fake.folder}:{os.environ['PATH']}")
    return fake
