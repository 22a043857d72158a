"""Run specs of earlier schemas, brought to the present one when they are read (pure).

A run keeps the id under which it was recorded: the hash of its spec as it was then, schema number
included. Which change of the config needs what:

- A setting is added, and its default is what was done before: mark the field
  `flow3r.config.LATER`. No id changes, and the schema stays.
- A setting is renamed, moved or read in another way, or a LATER default changes: raise SCHEMA, and
  add to MIGRATIONS what makes the old spec say the same in the new words. Recorded runs are found
  under their old ids.
- A value in a YAML file changes: nothing to do here. New runs are other runs with other ids; what
  was recorded keeps its spec and its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flow3r.errors import DataError

Spec = dict[str, Any]
Migrations = Mapping[int, Callable[[Spec], Spec]]

SCHEMA = 1
"""Of the specs that are written now."""
MIGRATIONS: Migrations = {}
"""Schema -> what turns a run spec of it into one of the next schema; it leaves its argument alone
and need not care for the schema number."""


def migrated(spec: Spec, schema: int = SCHEMA, migrations: Migrations = MIGRATIONS) -> Spec:
    """A run spec in the words of the present schema; DataError where there is no way to them."""
    found = spec.get("schema", schema)
    if found > schema:
        raise DataError(
            f"schema={found} is newer than this code, which knows up to schema={schema}; use the "
            "code that wrote it, or newer"
        )
    while found < schema:
        if found not in migrations:
            raise DataError(
                f"schema={found} is no longer read; this code reads "
                f"{sorted({*migrations, schema})}; use code of that time"
            )
        spec, found = {**migrations[found](spec), "schema": found + 1}, found + 1
    return spec
