"""Which console speaks: `console=` decides."""

from __future__ import annotations

import sys
from collections.abc import Callable

from flow3r.errors import ConfigError
from sweeps.console.base import Console
from sweeps.console.events import JsonConsole
from sweeps.console.live import LiveConsole
from sweeps.console.plain import PlainConsole
from sweeps.console.progress import Snapshot
from sweeps.executors.ledger import Ledger
from sweeps.options import Options

_KINDS: dict[str, Callable[[Callable[[Ledger], Snapshot]], Console]] = {
    "live": LiveConsole,
    "plain": PlainConsole,
    "quiet": Console,
    "json": JsonConsole,
}


def make_console(options: Options, snapshot: Callable[[Ledger], Snapshot]) -> Console:
    """The console that the user asked for; ConfigError for a live one without a terminal."""
    return _KINDS[console_kind(options)](snapshot)


def console_kind(options: Options) -> str:
    """live, plain, quiet or json. `auto` is live in a terminal, unless runs print there too."""
    terminal = sys.stdout.isatty()
    if options.console == "live" and not terminal:
        raise ConfigError(
            "console=live needs a terminal, and the output goes elsewhere; choose plain or json"
        )
    if options.console != "auto":
        return options.console
    return "live" if terminal and options.launcher != "inline" else "plain"


def jobs_echo(options: Options) -> bool:
    """Whether the output of the jobs themselves may be shown among what the console says."""
    return options.launcher == "inline" and console_kind(options) == "plain"
