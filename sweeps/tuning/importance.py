"""How much each tuned setting matters, as Optuna's fANOVA sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from sweeps.tuning.settings import Parameter
from sweeps.tuning.space import Values, distributions, quietly

FEWEST = 8
"""Candidates: a forest fitted to fewer says nothing."""


def importances(
    space: Mapping[str, Parameter],
    candidates: Sequence[Values],
    scores: Sequence[float | None],
) -> dict[str, float] | None:
    """The share of the scores' variance that each setting explains; they sum to 1.

    None where fewer than FEWEST candidates have a score, or where all scores are the same.
    """
    import optuna

    pairs = [(c, s) for c, s in zip(candidates, scores, strict=True) if s is not None]
    pairs = [(values, score) for values, score in pairs if isfinite(score)]
    if len(pairs) < FEWEST or len({score for _, score in pairs}) == 1:
        return None
    quietly()
    study = optuna.create_study()
    for values, score in pairs:
        trial = optuna.create_trial(params=values, distributions=distributions(space), value=score)
        study.add_trial(trial)
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(found[name]) for name in space}
