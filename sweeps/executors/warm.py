"""Children that need not import anything: forked from a process that has done so once.

Importing torch takes about as long as a short run trains. See `warm_server` for what a child has in
common with others: loaded modules, nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.executors.child import open_log
from sweeps.executors.warm_server import COMMAND, ENVIRONMENT, FOLDER, MODULES
from sweeps.jobs import REPOSITORY, Job

_SERVER = Path(__file__).with_name("warm_server.py")


class WarmStart:
    """Starts children like `Child` does. The server is started with the first of them, and again
    should it die; it ends with this process."""

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        """`modules`: what the server imports."""
        self._modules = modules
        self._server: _Server | None = None

    def __call__(self, job: Job, environment: Mapping[str, str], lock_fd: int) -> WarmChild:
        """Ask for a child; it begins when the server has imported its modules. OSError where none
        can be asked for."""
        if self._server is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended
                return WarmChild(job, environment, lock_fd, self._server)
        self._server = _Server(environment, self._modules)
        return WarmChild(job, environment, lock_fd, self._server)

    def server_process(self) -> subprocess.Popen[bytes]:
        """What children are forked from; there has been one."""
        assert self._server is not None
        return self._server.process

    def close(self) -> None:
        """Let the server end; children go on."""
        if self._server is not None:
            self._server.close()


class WarmChild:
    """A running job. Its output is appended to `<directory>/log.txt`."""

    def __init__(
        self, job: Job, environment: Mapping[str, str], lock_fd: int, server: _Server
    ) -> None:
        with open_log(job) as log:
            request = {
                COMMAND: list(job.command),
                ENVIRONMENT: server.changes(environment),
                FOLDER: str(REPOSITORY),
            }
            self._fork = server.fork(request, [log.fileno(), lock_fd])
        self._job = job
        self._server = server
        self._signals: list[int] = []  # for a child that does not exist yet

    def poll(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs or waits for the server."""
        known = self._fork.code is not None
        self._server.listen()
        if self._fork.pid is not None:
            while self._signals:
                self._send(self._signals.pop(0))
        if self._fork.code is not None and not known:
            self._end()
        return self._fork.code

    def _end(self) -> None:
        self.kill()  # what the child left behind would hold the lock and the GPU
        if self._fork.pid is None:
            with open(self._job.directory / "log.txt", "ab") as log:
                log.write(b"the process that children are forked from has ended before this one\n")

    def terminate(self) -> None:
        """Ask it to checkpoint and stop."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it and everything it started."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self._fork.pid is None:
            self._signals.append(number)
            return
        to_all = number == signal.SIGKILL
        try:
            (os.killpg if to_all else os.kill)(self._fork.pid, number)
        except ProcessLookupError:
            if to_all and self._fork.code is None:  # it has not made a session of its own yet
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._fork.pid, number)


@dataclass
class _Fork:
    """A child as the server tells of it: first its process id, later how it ended."""

    pid: int | None = None
    code: int | None = None


class _Server:
    """The scheduler's end of the warm process. Nothing here waits for it: its imports take seconds,
    on a busy disk minutes, in which the scheduler has leases to renew."""

    def __init__(self, environment: Mapping[str, str], modules: Sequence[str]) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, str(_SERVER), *modules],
                cwd=REPOSITORY,
                env=dict(environment),
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                # Ctrl-C and a closed terminal are the scheduler's affair.
                start_new_session=True,
            )
        self._channel.setblocking(False)
        self._environment = dict(environment)
        self._asked: deque[_Fork] = deque()
        self._alive: dict[int, _Fork] = {}

    def close(self) -> None:
        self._channel.close()

    def changes(self, environment: Mapping[str, str]) -> dict[str, str | None]:
        """An environment as its differences from the server's own; None: not there. Small, as all
        requests of its first seconds have to fit into the socket."""
        own = self._environment
        changed = {name: text for name, text in environment.items() if own.get(name) != text}
        return {**dict.fromkeys(own.keys() - environment.keys()), **changed}

    def fork(self, request: dict[str, object], files: list[int]) -> _Fork:
        """Ask for a child. OSError where it cannot be asked for."""
        socket.send_fds(self._channel, [json.dumps(request).encode()], files)
        self._asked.append(_Fork())
        return self._asked[-1]

    def listen(self) -> None:
        """Take in what the server has said.

        Without a server nobody knows how its children ended. They are then treated as killed, which
        poll's caller makes true.
        """
        with contextlib.suppress(BlockingIOError):
            while message := self._receive():
                self._take_in(message)
            self.process.poll()
            for fork in (*self._asked, *self._alive.values()):
                fork.code = -signal.SIGKILL
            self._asked.clear()
            self._alive.clear()

    def _take_in(self, message: dict[str, int]) -> None:
        pid = message["pid"]
        if "code" in message:
            self._alive.pop(pid).code = message["code"]
        else:
            self._alive[pid] = self._asked.popleft()
            self._alive[pid].pid = pid

    def _receive(self) -> dict[str, int] | None:
        """The next message; None where the server has ended. BlockingIOError: none as yet."""
        try:
            data = self._channel.recv(4096)
        except ConnectionResetError:
            return None
        return json.loads(data) if data else None
