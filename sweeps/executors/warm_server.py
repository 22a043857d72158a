"""The process that warm children are forked from: it imports what every run imports, then waits.

Its standard input is a socket to the scheduler (packets). A request is {"command", "environment",
"folder"} in JSON with two files, the log and the lock; the first answer {"pid"}, and, when the
child has ended, {"pid", "code"} (negative: the signal). "environment" holds what differs from the
environment that this process was started with. It ends when the scheduler does; children go on.

A child is what the same command is when started anew: a session of its own, the command's script
as `__main__`. Modules are all that it inherits: nothing here computes, draws a random number,
starts a thread or asks for a GPU.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MODULES = (
    "torch._dynamo",  # the first step of an optimiser imports it, compiled or not
    "torch.utils.flop_counter",
    "experiments.execute",
    "experiments.work.run",
    "experiments.work.dataset",
    "experiments.work.pretrain",
    "experiments.work.chance",
)
REQUEST_BYTES = 1 << 18
COMMAND, ENVIRONMENT, FOLDER = "command", "environment", "folder"


def main(modules: Sequence[str]) -> None:
    """Import, then serve until the scheduler is gone."""
    channel = socket.socket(fileno=os.dup(0))
    environment = dict(os.environ)  # modules may add to it
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, the pages of all modules
    request = _serve(channel)
    if request is not None:
        _work(*request, environment)


def _serve(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork a child per request. Returns its request in a child, None in the server at the end."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    while True:
        ready, _, _ = select.select([channel, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _report_ended(channel)
        if channel in ready:
            try:
                data, files, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 2)
            except ConnectionResetError:  # it ended without reading all that was said
                return None
            if not data:
                return None
            child = os.fork()
            if not child:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for file in (woken, wake):
                    os.close(file)
                channel.close()
                return json.loads(data), list(files)
            _send(channel, {"pid": child})
            for file in files:
                os.close(file)


def _report_ended(channel: socket.socket) -> None:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not child:
            return
        _send(channel, {"pid": child, "code": os.waitstatus_to_exitcode(status)})


def _send(channel: socket.socket, message: dict[str, int]) -> None:
    try:
        channel.send(json.dumps(message).encode())
    except BrokenPipeError:  # the scheduler is gone, which the next look at the channel shows
        return


def _work(request: dict[str, Any], files: list[int], environment: dict[str, str]) -> None:
    """Become what the command says."""
    os.setsid()
    log, lock = files
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for file in (nothing, log):
        os.close(file)
    os.set_inheritable(lock, True)
    os.environ.clear()
    changed = environment | request[ENVIRONMENT]
    os.environ.update({name: text for name, text in changed.items() if text is not None})
    os.chdir(request[FOLDER])
    _, script, *arguments = request[COMMAND]
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    # The repository, not this folder, so that modules here shadow nothing.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    main(sys.argv[1:])
