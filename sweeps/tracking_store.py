"""The MLflow store of a sweep: database, experiment, and one projection per run directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException

from experiments.rundir import read_status
from flow3r.files import read_json
from sweeps import pages
from sweeps.jobs import run_label
from sweeps.locks import locked
from sweeps.tracking import RunProjection, create_run

STUDY_TAG = "study"
_SQLITE = "sqlite:///"
_WRITER_LOCK = ".mlflow-writer.lock"
_REPORT_FILES = (".html", ".md", ".csv", ".tex", ".json", ".png", ".pdf")


def default_uri(output_dir: Path) -> str:
    """The SQLite store of an output folder."""
    return f"{_SQLITE}{output_dir / 'mlflow.db'}"


def create_database(path: Path) -> None:
    """Make an empty migrated SQLite store at `path`, all or nothing.

    Migrating takes seconds; a process killed meanwhile would leave tables that no later start can
    repair. So it happens beside the final name, which the file gets when it is complete.
    """
    making = path.with_name(f"{path.name}.making")
    for leftover in (making, making.with_name(f"{making.name}-journal")):
        leftover.unlink(missing_ok=True)
    MlflowClient(f"{_SQLITE}{making}").search_experiments()
    os.replace(making, path)


class SweepProjection:
    """Everything MLflow shows about one sweep."""

    def __init__(self, output_dir: Path, sweep: str, uri: str | None = None) -> None:
        """Opens the store, creating and migrating it under a lock: two at once would collide."""
        self._output_dir = output_dir
        self._sweep = sweep
        self._lock = output_dir / _WRITER_LOCK
        uri = uri or default_uri(output_dir)
        with locked(self._lock):
            database = Path(uri.removeprefix(_SQLITE))
            if uri.startswith(_SQLITE) and not database.exists():
                create_database(database)
            self._client = MlflowClient(uri)
            self.experiment = self._open_experiment(uri)
            self._describe_experiment()
        self._runs: dict[str, RunProjection] = {}
        self._report_seen: tuple | None = None

    def sync(self) -> int:
        """Project every run that has started; returns the number of metric values written.

        The lock is held for one pass: trackers of two schedulers take turns.
        """
        written = 0
        with locked(self._lock):
            for run in planned_runs(self._output_dir, self._sweep):
                directory = self._output_dir / "runs" / run["run_id"]
                if read_status(directory) is None or not (directory / "spec.json").exists():
                    continue
                written += self._projection(run, directory).sync()
        return written

    def sync_study(self) -> None:
        """Put the report, once written, into the study run."""
        folder = self._output_dir / "reports" / self._sweep
        files = sorted(p for p in folder.rglob("*") if p.suffix in _REPORT_FILES)
        seen = tuple((str(p), p.stat().st_mtime_ns) for p in files)
        if not (folder / "results.json").exists() or seen == self._report_seen:
            return
        with locked(self._lock):
            run = self._find(f"tags.{STUDY_TAG} = 'true'") or self._client.create_run(
                self.experiment,
                tags={STUDY_TAG: "true", "sweep": self._sweep},
                run_name=pages.study_name(self._sweep),
            )
            self._fill_study(run, folder, files)
        self._report_seen = seen

    def _fill_study(self, run: Run, folder: Path, files: list[Path]) -> None:
        for path in files:
            parent = path.relative_to(folder).parent.as_posix()
            self._client.log_artifact(run.info.run_id, str(path), None if parent == "." else parent)
        self._client.set_tag(run.info.run_id, "mlflow.note.content", pages.study_note(folder))
        results = folder / "results.json"
        moment = round(results.stat().st_mtime * 1000)
        content = read_json(results)
        complete = str(bool(content.get("complete"))).lower()  # false: a look on the way
        self._client.set_tag(run.info.run_id, "complete", complete)
        found = pages.study_metrics(self._plan(), content)
        metrics = [Metric(name, value, moment, step) for name, value, step in found]
        for i in range(0, len(metrics), 1000):
            self._client.log_batch(run.info.run_id, metrics=metrics[i : i + 1000])
        self._client.set_terminated(run.info.run_id, "FINISHED", moment)

    def clear(self) -> None:
        """Delete the sweep's runs from MLflow, so that a sync makes them anew."""
        with locked(self._lock):
            for run in self._all_runs():
                self._client.delete_run(run.info.run_id)
        self._runs.clear()

    def _open_experiment(self, uri: str) -> str:
        found = self._client.get_experiment_by_name(self._sweep)
        if found is not None:
            if found.lifecycle_stage != "active":
                self._client.restore_experiment(found.experiment_id)
            return found.experiment_id
        # A server keeps artifacts where it was told to; beside SQLite they get a place of ours,
        # because MLflow's own default depends on the current directory.
        location = None
        if uri.startswith(_SQLITE):
            location = (self._output_dir / "mlartifacts" / self._sweep).as_uri()
        try:
            return self._client.create_experiment(self._sweep, artifact_location=location)
        except MlflowException:  # another tracker on the same server was faster
            found = self._client.get_experiment_by_name(self._sweep)
            if found is None:
                raise
            return found.experiment_id

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

    def _projection(self, run: dict[str, Any], directory: Path) -> RunProjection:
        name = run["run_id"]
        if name not in self._runs:
            found = self._find(f"tags.run_id = '{name}'") or create_run(
                self._client, self.experiment, self._sweep, run, directory
            )
            # Searching and creating return what was there before the tags; read it whole.
            whole = self._client.get_run(found.info.run_id)
            self._runs[name] = RunProjection(self._client, directory, whole)
        return self._runs[name]

    def _find(self, condition: str) -> Run | None:
        found = self._client.search_runs([self.experiment], condition, max_results=1)
        return found[0] if found else None

    def _all_runs(self) -> Iterator[Run]:
        token = None
        pages = []
        while True:
            page = self._client.search_runs([self.experiment], page_token=token)
            pages.extend(page)
            token = page.token
            if not token:
                return iter(pages)


def planned_runs(output_dir: Path, sweep: str) -> list[dict[str, Any]]:
    """The runs of a sweep's plan.json, each once, with the facts of its (first) arm.

    Each has `run_id`, `seed`, `depends_on`, all its `arms`, a `label` and a `colour`.
    """
    plan = read_json(output_dir / "reports" / sweep / "plan.json")
    facts = {arm["arm"]: arm for arm in plan["arms"]}
    colours = pages.colours(plan)
    runs: dict[str, dict[str, Any]] = {}
    for entry in plan["runs"]:
        name = entry["run_id"]
        if name in runs:
            runs[name]["arms"].append(entry["arm"])
        else:
            runs[name] = {**facts[entry["arm"]], **entry, "arms": [entry["arm"]]}
    for run in runs.values():
        run["label"] = run_label(run["arms"], run["seed"])
        run["colour"] = colours[run["arms"][0]]
    return list(runs.values())
