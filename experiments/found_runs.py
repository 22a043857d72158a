"""Runs that lie in a folder under the id of an earlier schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments import identity
from experiments.migrations import MIGRATIONS, SCHEMA, Migrations, migrated
from flow3r.errors import DataError
from flow3r.files import read_json


class FoundRuns:
    """Which directory of `<output_dir>/runs` is that of a spec: the id it was recorded under.

    DataError where a run of a newer schema lies there: it may be the one that is asked for.
    """

    def __init__(
        self, runs: Path, schema: int = SCHEMA, migrations: Migrations = MIGRATIONS
    ) -> None:
        self._earlier: dict[str, str] = {}
        for path in sorted(runs.glob("*/spec.json")):
            spec = read_json(path)["spec"]
            if spec.get("schema", schema) == schema:
                continue
            try:
                current = identity.run_id(migrated(spec, schema, migrations))
            except DataError as error:
                raise DataError(f"{path}: {error}; or choose another output_dir") from None
            if not (runs / current).exists():
                self._earlier[current] = path.parent.name

    def run_id(self, spec: dict[str, Any]) -> str:
        """The id of a spec of the present schema, in this folder."""
        current = identity.run_id(spec)
        return self._earlier.get(current, current)
