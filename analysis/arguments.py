"""`key=value` arguments of the commands in this folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flow3r.errors import ConfigError


def parse_arguments(
    arguments: Sequence[str], known: Mapping[str, str | None], command: str
) -> dict[str, str]:
    """The settings of a command line. `known`: name -> default, None where it must be given.

    Raises ConfigError with the valid settings, or the missing ones.
    """
    choices = ", ".join(f"{key}=..." for key in known)
    settings = {key: value for key, value in known.items() if value is not None}
    for argument in arguments:
        key, separator, value = argument.partition("=")
        if not separator or key not in known or not value:
            raise ConfigError(f"{argument!r} is not a setting; valid settings are {choices}")
        settings[key] = value
    missing = [f"{key}=..." for key in known if key not in settings]
    if missing:
        raise ConfigError(f"{' '.join(missing)} is missing; see python analysis/{command} --help")
    return settings
