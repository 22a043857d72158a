"""Atomic writes: all of the new file or all of the old one, and an error that names the file."""

import errno
import os
import subprocess
import sys
import time

import pytest

from flow3r.files import remove_unfinished, write_atomically, write_json, write_text

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from flow3r.files import write_atomically
def half(temporary):
    temporary.write_text("hal")
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(Path(sys.argv[1]), half)
"""


def killed_while_writing(path):
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)


def test_a_killed_writer_leaves_the_previous_file_and_one_that_is_cleaned_up(tmp_path):
    path = tmp_path / "checkpoint" / "last.pt"
    write_text(path, "before")
    killed_while_writing(path)
    assert path.read_text() == "before"
    (leftover,) = [p for p in path.parent.iterdir() if p != path]
    assert leftover.read_text() == "hal"

    remove_unfinished(tmp_path)  # it may still be written, for all this process knows
    assert leftover.exists()
    long_ago = time.time() - 3600
    os.utime(leftover, (long_ago, long_ago))
    os.utime(path, (long_ago, long_ago))
    (tmp_path / ".mine").write_text("a user's hidden file")
    os.utime(tmp_path / ".mine", (long_ago, long_ago))
    remove_unfinished(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == [".mine", "checkpoint", "last.pt"]


def test_an_error_of_the_system_names_the_file_and_not_the_temporary_one(tmp_path):
    def full(temporary):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a.json"
    with pytest.raises(OSError, match=r"No space left on device: '.*/a\.json'$"):
        write_atomically(path, full)
    assert list(tmp_path.iterdir()) == []

    def absent(temporary):
        (tmp_path / "source").read_bytes()

    with pytest.raises(FileNotFoundError, match=r"'.*/source'$"):
        write_atomically(path, absent)


def test_a_folder_that_cannot_be_written_is_named_by_the_file(tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"'.*/runs'$"):
        write_json(tmp_path / "runs" / "status.json", {})


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert (tmp_path / "a.json").read_text() == '{\n "x": 1\n}\n'
