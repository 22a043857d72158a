"""The tuning as an Optuna journal: for dashboards and for Optuna's own analyses.

A record, not the truth. Trials are asked for and told under a lock, each once however often the
sweep is started, and a deleted journal is written anew from the run directories.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from math import isfinite
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from flow3r.evaluation.names import metric
from flow3r.locks import locked
from sweeps.tuning.plan import TuningPlan
from sweeps.tuning.space import distributions, quietly
from sweeps.tuning.standings import Race, Standing

CANDIDATE, RUNS = "candidate", "run_ids"
"""User attributes of a trial."""


class Journal:
    """One study per formulation in `journal.log`."""

    def __init__(self, tuning: TuningPlan, path: Path) -> None:
        self._tuning, self._path = tuning, path
        path.parent.mkdir(parents=True, exist_ok=True)
        quietly()

    def record(self, races: Iterable[Race]) -> None:
        """Bring the studies up to date."""
        with locked(self._path.with_name(".journal.lock")):
            storage = JournalStorage(JournalFileBackend(str(self._path)))
            for race in races:
                study = self._study(storage, race.formulation)
                for standing in race.standings:
                    self._record_trial(study, storage, race, standing)

    def study_name(self, formulation: str) -> str:
        """The formulation, and a digest of what is tried: another tuning is another study."""
        ids = ",".join(run for trial in self._tuning.of(formulation) for run in trial.run_ids)
        return f"{formulation}-{hashlib.sha256(ids.encode()).hexdigest()[:8]}"

    def _study(self, storage: JournalStorage, formulation: str) -> optuna.Study:
        upwards = metric(self._tuning.config.metric).direction == "up"
        return optuna.create_study(
            storage=storage,
            study_name=self.study_name(formulation),
            direction="maximize" if upwards else "minimize",
            load_if_exists=True,
        )

    def _record_trial(
        self, study: optuna.Study, storage: JournalStorage, race: Race, standing: Standing
    ) -> None:
        number = self._asked(study, standing)
        known = study.trials[number]
        if known.state.is_finished():
            return
        trial = storage.get_trial_id_from_study_id_trial_number(
            storage.get_study_id_from_name(study.study_name), number
        )
        for step, value in zip(self._tuning.rungs, standing.rungs, strict=True):
            if value is not None and step not in known.intermediate_values:
                storage.set_trial_intermediate_value(trial, step, value)
        if standing.score is not None and isfinite(standing.score):
            study.tell(number, standing.score)
        elif standing.score is not None or standing.failed is not None:
            study.tell(number, state=TrialState.FAIL)
        elif race.has_dropped(standing.trial.number):
            study.tell(number, state=TrialState.PRUNED)

    def _asked(self, study: optuna.Study, standing: Standing) -> int:
        """The number of a candidate's trial in the study; asks for it where there is none."""
        trial, number = standing.trial, _number(study, standing)
        if number is None:
            attributes = {CANDIDATE: trial.number, RUNS: list(trial.run_ids)}
            study.enqueue_trial(trial.values, user_attrs=attributes)
        elif study.trials[number].state != TrialState.WAITING:
            return number
        return study.ask(distributions(self._tuning.config.space)).number


def _number(study: optuna.Study, standing: Standing) -> int | None:
    """The trial of a candidate. One that failed counts no more once its run was tried again."""
    mine = [t for t in study.trials if t.user_attrs.get(CANDIDATE) == standing.trial.number]
    if standing.failed is None:
        mine = [trial for trial in mine if trial.state != TrialState.FAIL]
    return mine[-1].number if mine else None


def trials_of(path: Path, study: str) -> list[FrozenTrial]:
    """The recorded trials of a study."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.load_study(study_name=study, storage=storage).trials
