"""Command lines of the form name=value, shared by every script."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from experiments.ending import end_process
from flow3r.errors import ConfigError, DataError, NonFiniteLossError

USAGE_ERROR = 2


def split_arguments(arguments: Sequence[str], own: Sequence[str]) -> tuple[dict[str, str], list]:
    """Separate the script's own name=value arguments from config overrides.

    Raises ConfigError for an argument that is not of the form name=value.
    """
    mine: dict[str, str] = {}
    overrides: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise ConfigError(f"{argument!r} is not understood; write arguments as name=value")
        if name in own:
            mine[name] = value
        else:
            overrides.append(argument)
    return mine, overrides


def whole_number(name: str, text: str) -> int:
    """The value of the argument `name`; ConfigError where it is no whole number."""
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{name}={text!r} is not a whole number") from None


def number(name: str, text: str) -> float:
    """The value of the argument `name`; ConfigError where it is no number."""
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{name}={text!r} is not a number") from None


def run_script(main: Callable[[list[str]], int], help_text: str) -> None:
    """Run a script's main function; a user's mistake becomes one message and exit code 2."""
    arguments = sys.argv[1:]
    if any(a in ("-h", "--help", "help") for a in arguments):
        print(help_text.strip())
        sys.exit(0)
    try:
        sys.exit(main(arguments))
    except (ConfigError, DataError, NonFiniteLossError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)


def run_worker(main: Callable[[list[str]], int], help_text: str) -> None:
    """`run_script` for the process of a run or a stage, which ends at once when it has ended."""
    run_script(lambda arguments: end_process(main(arguments)), help_text)
