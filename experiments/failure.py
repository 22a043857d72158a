"""The names of what can go wrong with an attempt, and which of them an error stands for."""

from __future__ import annotations

import re

NON_FINITE = "non-finite"
OUT_OF_MEMORY = "out-of-memory"
KILLED = "killed"
TIMEOUT = "timeout"
STALLED = "stalled"
EXIT = "exit"
PREREQUISITE = "prerequisite"
START = "start"

NAMES = (NON_FINITE, OUT_OF_MEMORY, KILLED, TIMEOUT, STALLED, EXIT, PREREQUISITE, START)
"""In `failure` of status.json:

non-finite: the loss became NaN or infinite. out-of-memory: of the device or of the host.
killed: by a signal from elsewhere. timeout: the attempt took longer than it may. stalled: it gave
no sign of life. exit: any other error of the program. prerequisite: what it needs has failed.
start: it could not be started.
"""

_ANOTHER_PROCESS = re.compile(r"process \d+ of \d+: ")
_SIGNS = (
    (NON_FINITE, re.compile(r"NonFiniteLossError:|_?LinAlgError: .*non-finite")),
    (
        OUT_OF_MEMORY,
        re.compile(
            r"OutOfMemoryError:|_?(Array)?MemoryError\b"
            r"|RuntimeError: .*(can't allocate memory|out of memory|_ALLOC_FAILED)"
            r"|OSError: \[Errno 12\]",
            re.DOTALL,
        ),
    ),
    (KILLED, re.compile(r"ended with exit code -\d+$")),
)
"""How `Type: message` begins; one of several processes may have said it."""


def failure_of(reason: str) -> str:
    """The name for an error, told as `Type: message`."""
    words = _ANOTHER_PROCESS.sub("", reason, count=1)
    return next((name for name, sign in _SIGNS if sign.match(words)), EXIT)
