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
from collections.abc import Mapping, Sequence
from pathlib import Path

from sweeps.executors.child import open_log
from sweeps.executors.warm_server import COMMAND, ENVIRONMENT, FOLDER, MODULES
from sweeps.jobs import REPOSITORY, Job

_SERVER = Path(__file__).with_name("warm_server.py")
_START_SECONDS = 300.0  # for its imports, on a slow disk


class _ServerEndedError(OSError):
    """There is no process to fork from."""


class WarmStart:
    """Starts children like `Child` does. The server is started with the first of them, and again
    should it die; it ends with this process."""

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        """`modules`: what the server imports."""
        self._modules = modules
        self._server: _Server | None = None

    def __call__(self, job: Job, environment: Mapping[str, str], lock_fd: int) -> WarmChild:
        """OSError where the child cannot be started."""
        if self._server is not None:
            with contextlib.suppress(_ServerEndedError):
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
                ENVIRONMENT: dict(environment),
                FOLDER: str(REPOSITORY),
            }
            self._pid = server.fork(request, [log.fileno(), lock_fd])
        self._server = server
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        if self._code is None:
            self._code = self._server.code(self._pid)
            if self._code is not None:
                self.kill()  # what the child left behind would hold the lock and the GPU
        return self._code

    def terminate(self) -> None:
        """Ask it to checkpoint and stop."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill it and everything it started."""
        try:
            os.killpg(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            if self._code is None:  # it has not made a session of its own yet
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)


class _Server:
    """The scheduler's end of the warm process."""

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
        self._codes: dict[int, int] = {}

    def close(self) -> None:
        self._channel.close()

    def fork(self, request: dict[str, object], files: list[int]) -> int:
        """The process id of a new child."""
        self._channel.settimeout(_START_SECONDS)
        try:
            socket.send_fds(self._channel, [json.dumps(request).encode()], files)
        except BrokenPipeError:
            raise _ServerEndedError("the process that children are forked from has ended") from None
        while True:
            message = self._receive()
            if message is None:
                raise _ServerEndedError("the process that children are forked from has ended")
            if "code" not in message:
                return message["pid"]
            self._codes[message["pid"]] = message["code"]

    def code(self, pid: int) -> int | None:
        """How a child ended, once; None while it runs.

        Without a server nobody knows. The child is then treated as killed, which poll's caller
        makes true.
        """
        self._channel.settimeout(0.0)
        with contextlib.suppress(BlockingIOError):
            while pid not in self._codes:
                message = self._receive()
                if message is None:
                    self.process.poll()
                    return -signal.SIGKILL
                self._codes[message["pid"]] = message["code"]
        return self._codes.pop(pid, None)

    def _receive(self) -> dict[str, int] | None:
        """The next message; None where the server has ended."""
        try:
            data = self._channel.recv(4096)
        except ConnectionResetError:
            return None
        return json.loads(data) if data else None
