"""Where MLflow keeps a sweep: a SQLite file beside the runs, or what `tracking_uri=` names."""

from __future__ import annotations

import os
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flow3r.errors import ConfigError
from flow3r.locks import locked

_SQLITE = "sqlite:///"
_LOCK = ".mlflow-writer.lock"


def default_uri(output_dir: Path) -> str:
    """The SQLite store of an output folder."""
    return f"{_SQLITE}{output_dir / 'mlflow.db'}"


def is_file(uri: str) -> bool:
    """Whether the store is a SQLite file, which we make ourselves."""
    return uri.startswith(_SQLITE)


def writer_lock(uri: str, output_dir: Path) -> Path:
    """The lock of those who write to the store: beside the file, or in the output folder."""
    folder = Path(uri.removeprefix(_SQLITE)).absolute().parent if is_file(uri) else output_dir
    return folder / _LOCK


def open_store(uri: str, output_dir: Path) -> MlflowClient:
    """A client; makes and migrates a missing file under the lock: two at once would collide.

    Raises ConfigError for a file that another version of MLflow made.
    """
    if not is_file(uri):
        return MlflowClient(uri)
    path = Path(uri.removeprefix(_SQLITE))
    with locked(writer_lock(uri, output_dir)):
        if not path.exists():
            create_database(path)
        try:
            return MlflowClient(uri)
        except MlflowException as error:
            if "database schema" not in str(error):
                raise
            raise ConfigError(
                f"{path} was made by another version of MLflow; either 'mlflow db upgrade {uri}' "
                "changes it (keep a copy), or move it away: 'python sweeps/track.py rebuild "
                f"output_dir={output_dir}' makes it anew from the run directories"
            ) from None


def create_database(path: Path) -> None:
    """Make an empty migrated SQLite store at `path`, all or nothing.

    Migrating takes seconds; a process killed meanwhile would leave tables that no later start can
    repair. So it happens beside the final name, which the file gets when it is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f"{path.name}.making")
    for leftover in (making, making.with_name(f"{making.name}-journal")):
        leftover.unlink(missing_ok=True)
    MlflowClient(f"{_SQLITE}{making}").search_experiments()
    os.replace(making, path)


def fail_fast(retries: int, seconds: int) -> None:
    """Bound the time that one request to a server that is away takes, unless the user has set it.

    MLflow's own default is several minutes, without a word.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(retries))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(seconds))
