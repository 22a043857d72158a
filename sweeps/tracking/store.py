"""The MLflow store of a sweep: database, experiment, and one projection per run directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from experiments.rundir import read_status
from flow3r.files import read_json
from flow3r.locks import locked
from sweeps.planning.planned import planned_runs
from sweeps.tracking import pages
from sweeps.tracking.projection import RunProjection, milliseconds
from sweeps.tracking.study import STUDY, fill_study, report_files, report_moment
from sweeps.tracking.tracked_run import (
    CURSOR_TAG,
    Contradiction,
    TrackedRun,
    create_run,
    find_run,
    stamp,
)
from sweeps.tracking.uri import default_uri, is_file, open_store, writer_lock


class NotProjected(Exception):  # noqa: N818 - the others are
    """Some runs could not be written; the message says which and why."""


class SweepProjection:
    """Everything MLflow shows about one sweep."""

    def __init__(self, output_dir: Path, sweep: str, uri: str | None = None) -> None:
        """Opens the store, which is made where there is none."""
        self._output_dir = output_dir
        self._sweep = sweep
        uri = uri or default_uri(output_dir)
        self._lock = writer_lock(uri, output_dir)
        self._client = open_store(uri, output_dir)
        with locked(self._lock):
            self.experiment = _open_experiment(self._client, sweep, uri, output_dir)
            self._describe_experiment()
        self._runs: dict[str, RunProjection] = {}
        self._report_seen: tuple | None = None

    def sync(self) -> int:
        """Project every run that has started; returns the number of metric values written.

        A run that MLflow does not take does not keep the others from it: NotProjected, raised at
        the end, names it.
        """
        written, failures = 0, []
        for run in planned_runs(self._output_dir, self._sweep):
            directory = self._output_dir / "runs" / run["run_id"]
            if read_status(directory) is None or not (directory / "spec.json").exists():
                continue
            try:
                written += self._sync_run(run, directory)
            except Exception as error:
                self._client.get_experiment(self.experiment)  # raises where the store is away
                failures.append(f"{run['label']} ({run['run_id']}): {error!r}")
        if failures:
            raise NotProjected("; ".join(failures))
        return written

    def sync_study(self) -> None:
        """Put the report, once written, into the study run."""
        folder = self._output_dir / "reports" / self._sweep
        seen = tuple((str(path), *stamp(path)) for path in report_files(folder))
        if not seen or seen == self._report_seen:
            return

        def study() -> TrackedRun:
            return find_run(self._client, self.experiment, STUDY) or create_run(
                self._client,
                self.experiment,
                STUDY,
                pages.study_name(self._sweep),
                report_moment(folder),
            )

        with locked(self._lock):
            self._agreeing(study, lambda tracked: fill_study(tracked, self._plan(), folder))
        self._report_seen = seen

    def clear(self) -> int:
        """Put what we made into MLflow's trash, so that a sync makes it anew; returns the number.

        Runs that people added stay, and their tags and descriptions on ours come back.
        """
        with locked(self._lock):
            ours = [run for run in self._all_runs() if CURSOR_TAG in run.data.tags]
            for run in ours:
                self._client.delete_run(run.info.run_id)
        self._runs.clear()
        self._report_seen = None
        return len(ours)

    def _sync_run(self, run: dict[str, Any], directory: Path) -> int:
        """The lock is held for one run: trackers of several schedulers take turns."""
        projection = self._runs.setdefault(run["run_id"], RunProjection(self._client, directory))
        if not projection.due(run):
            return 0
        identity = ("run_id", run["run_id"])

        def tracked() -> TrackedRun:
            return find_run(self._client, self.experiment, identity) or create_run(
                self._client,
                self.experiment,
                identity,
                run["label"],
                milliseconds(read_status(directory)["started"]),
                run["colour"],
            )

        with locked(self._lock):
            return self._agreeing(tracked, lambda found: projection.sync(found, self._sweep, run))

    def _agreeing(self, find: Callable[[], TrackedRun], write: Callable[[TrackedRun], Any]) -> Any:
        """Write; where MLflow contradicts the files, whose word counts, into a new run.

        Training that does not repeat to the bit, or scores made anew, lead here.
        """
        tracked = find()
        try:
            return write(tracked)
        except Contradiction:
            self._client.delete_run(tracked.id)
            return write(find())

    def _describe_experiment(self) -> None:
        plan = self._plan()
        known = self._client.get_experiment(self.experiment).tags
        wanted = pages.experiment_tags(plan)
        if "mlflow.note.content" not in known:  # people may have written their own
            wanted["mlflow.note.content"] = pages.experiment_note(plan)
        for key, value in wanted.items():
            if known.get(key) != value:
                self._client.set_experiment_tag(self.experiment, key, value)

    def _plan(self) -> dict[str, Any]:
        return read_json(self._output_dir / "reports" / self._sweep / "plan.json")

    def _all_runs(self) -> list[Run]:
        runs, token = [], None
        while True:
            page = self._client.search_runs([self.experiment], page_token=token)
            runs.extend(page)
            token = page.token
            if not token:
                return runs


def _open_experiment(client: MlflowClient, name: str, uri: str, output_dir: Path) -> str:
    """The id of the experiment, which is made or taken out of the trash if need be."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage != "active":
            client.restore_experiment(found.experiment_id)
        return found.experiment_id
    # A server keeps artifacts where it was told to; beside SQLite they get a place of ours,
    # because MLflow's own default depends on the current directory.
    location = (output_dir / "mlartifacts" / name).as_uri() if is_file(uri) else None
    try:
        return client.create_experiment(name, artifact_location=location)
    except MlflowException:  # another tracker on the same server was faster
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found.experiment_id
