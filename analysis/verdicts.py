"""Each question of a sweep answered: holds, fails or undecided, with the interval behind it.

A question claims a difference d (turned so that positive is better) of at least the smallest
difference of interest s. With the interval [low, high] of d:

- better: *holds* when low > 0 and d itself is at least s (the sentence says so where low < s);
  *fails* when high < s: an effect that matters is excluded (this includes "worse");
- not-worse: *holds* when low > -s; *fails* when high < 0 and d <= -s;
- equal: *holds* when -s < low and high < s; *fails* when zero is excluded and |d| >= s;
- everything else is *undecided*. With s = 0, better is "the interval excludes zero".

An order holds when every pair of it holds; each pair then needs no correction, since all must hold.
It fails when one pair fails, and for that the pairs are corrected (Holm). Questions of one family
are corrected together (Holm): the most decided one is judged at level 1 - 0.05/m, the next at
1 - 0.05/(m-1), and so on until one stays undecided; the interval shown is the one judged.

Nothing is claimed before every planned run of the compared arms is finished, however often the
report is looked at (`analysis/sequential.py` widens the intervals shown meanwhile).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.metrics import improvement
from analysis.questions import BETTER, NOT_WORSE, Question
from analysis.records import Records, score_matrices
from analysis.scaling import curve_arms, slope_weights
from analysis.statistics import LEVEL, Estimate, estimate

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
Judge = Callable[[float], "Finding"]  # at a level


@dataclass(frozen=True)
class Contrast:
    """A measured difference: `values` [S, K] over seeds and scenes, in the metric's unit.

    arm, baseline: what is compared ('' for a slope). planned: seeds of the finished comparison;
    finished, runs: how many of the planned runs of its arms are finished.
    """

    arm: str
    baseline: str
    values: np.ndarray
    planned: int
    finished: int
    runs: int


@dataclass(frozen=True)
class Finding:
    """A contrast judged at one level; `found` is None where nothing is measured yet."""

    contrast: Contrast
    found: Estimate | None
    verdict: str


@dataclass(frozen=True)
class Verdict:
    """The answer to a question. `pairs`: of an order, all its pairs as judged; else the one."""

    question: Question
    verdict: str
    decisive: Finding
    pairs: tuple[Finding, ...]


def answer_questions(records: Records) -> tuple[Verdict, ...]:
    """The verdicts of the plan's questions, in its order."""
    groups: dict[str, list[Question]] = {}
    for question in records.plan.questions:
        groups.setdefault(question.family or question.id, []).append(question)
    answers = {}
    for questions in groups.values():
        judges = [_judge(records, question) for question in questions]
        verdicts = step_down(judges, lambda verdict: verdict.verdict != UNDECIDED)
        answers |= dict(zip([question.id for question in questions], verdicts))
    return tuple(answers[question.id] for question in records.plan.questions)


def decide(direction: str, difference: float, low: float, high: float, smallest: float) -> str:
    """The rule of the module text; all numbers turned so that positive is better."""
    if direction == BETTER:
        if low > 0 and difference >= smallest:
            return HOLDS
        return FAILS if high < smallest else UNDECIDED
    if direction == NOT_WORSE:
        if low > -smallest:
            return HOLDS
        return FAILS if high < 0 and difference <= -smallest else UNDECIDED
    if -smallest < low and high < smallest:
        return HOLDS
    excluded = low > 0 or high < 0
    return FAILS if excluded and abs(difference) >= smallest else UNDECIDED


def step_down(judges: Sequence[Callable], decided: Callable, level: float = LEVEL) -> list:
    """Holm's procedure with intervals: judge all at 1 - alpha/m, keep what is decided, go on.

    `judges`: level -> a judgement. Returns the judgements, each at the level that applied to it.
    """
    final: dict[int, object] = {}
    while len(final) < len(judges):
        open_ = [i for i in range(len(judges)) if i not in final]
        found = {i: judges[i](1 - (1 - level) / len(open_)) for i in open_}
        kept = {i: judgement for i, judgement in found.items() if decided(judgement)}
        final |= kept or found
        if not kept:
            break
    return [final[i] for i in range(len(judges))]


def _judge(records: Records, question: Question) -> Callable[[float], Verdict]:
    if question.slope is not None:
        contrasts = [_slope(records, question)]
    else:
        contrasts = [_pair(records, question, *pair) for pair in question.pairs()]

    def judge(level: float) -> Verdict:
        alone = [_finding(question, contrast, level) for contrast in contrasts]
        if len(alone) == 1:
            return Verdict(question, alone[0].verdict, alone[0], tuple(alone))
        if all(finding.verdict == HOLDS for finding in alone):
            return Verdict(question, HOLDS, _weakest(question, alone), tuple(alone))
        judges = [_at_level(question, contrast) for contrast in contrasts]
        corrected = step_down(judges, lambda finding: finding.verdict != UNDECIDED, level)
        failed = [finding for finding in corrected if finding.verdict == FAILS]
        verdict = FAILS if failed else UNDECIDED
        return Verdict(question, verdict, _weakest(question, failed or corrected), tuple(corrected))

    return judge


def _at_level(question: Question, contrast: Contrast) -> Judge:
    return lambda level: _finding(question, contrast, level)


def _weakest(question: Question, findings: Sequence[Finding]) -> Finding:
    """The pair that is furthest from what is claimed; one that is not measured is further still."""

    def gain(finding: Finding) -> float:
        unmeasured = finding.found is None
        return -np.inf if unmeasured else improvement(question.metric, finding.found.mean)

    return min(findings, key=gain)


def _finding(question: Question, contrast: Contrast, level: float) -> Finding:
    if np.isnan(contrast.values).all():
        return Finding(contrast, None, UNDECIDED)
    found = estimate(contrast.values, level, planned=contrast.planned)
    if contrast.finished < contrast.runs:
        found = replace(found, preliminary=True)
    if found.low is None or found.preliminary:
        return Finding(contrast, found, UNDECIDED)
    turned = [improvement(question.metric, value) for value in (found.low, found.high)]
    gain = improvement(question.metric, found.mean)
    smallest = question.smallest_difference
    verdict = decide(question.direction, gain, min(turned), max(turned), smallest)
    return Finding(contrast, found, verdict)


def _pair(records: Records, question: Question, arm: str, baseline: str) -> Contrast:
    arms = [arm, baseline]
    values, _, _ = score_matrices(records, arms, question.benchmark, question.metric)
    return _contrast(records, arms, (arm, baseline), values[0] - values[1])


def _slope(records: Records, question: Question) -> Contrast:
    """The least-squares slope of the metric on log2(1 + clips), by seed and scene."""
    arms = curve_arms(records)
    planned = [arm.name for arm in records.plan.arms if records.plan.on_curve(arm)]
    if len(arms) < 2:
        return _contrast(records, planned, ("", ""), np.empty((0, 0)))
    counts = np.array([arm.unlabelled_clips for arm in arms], dtype=float)
    names = [arm.name for arm in arms]
    values, _, _ = score_matrices(records, names, question.benchmark, question.metric)
    values = np.einsum("a,ask->sk", slope_weights(counts), values)
    return _contrast(records, planned, ("", ""), values)


def _contrast(
    records: Records, arms: Sequence[str], names: tuple[str, str], values: np.ndarray
) -> Contrast:
    runs = records.runs[records.runs["arm"].isin(arms)]
    planned = set.intersection(*(records.plan.seeds(arm) for arm in arms))
    return Contrast(*names, values, len(planned), int(runs["finished"].sum()), len(runs))
