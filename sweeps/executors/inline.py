"""One job after another, each in a child process whose output also goes to the console."""

from __future__ import annotations

from functools import partial

from sweeps.executors.child import EchoingChild
from sweeps.executors.slots import LocalExecutor

inline_executor = partial(LocalExecutor, start=EchoingChild)
"""The local executor with children that echo; give it one slot."""
