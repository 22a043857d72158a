"""The page that is read in two minutes: the questions, their answers, one figure, what to keep in
mind."""

from __future__ import annotations

from collections.abc import Sequence

from analysis import document
from analysis.answer import starting_point
from analysis.chance import chance_sentence
from analysis.crossed import components
from analysis.document import Block, Bullets, Picture, Text
from analysis.metrics import metric, number, unit_of_difference
from analysis.power import detectable, seeds_for, seeds_needed
from analysis.records import Records
from analysis.scaling import ScalingCurve
from analysis.sections.tuning import tuning_sentence
from analysis.statistics import LEVEL, drop_empty
from analysis.summary import Summary
from analysis.verdict_words import comparison_text, percent, sentence, smallest_text
from analysis.verdicts import UNDECIDED, Verdict
from analysis.wording import interval_text

MORE_SCENES = (2, 4, 8, 16, 32)  # times as many, tried where no number of seeds suffices
MANY_SEEDS = 20
MAIN_CARDS = 2  # questions answered at full length; the others in a line each


def front_blocks(
    records: Records,
    summary: Summary,
    answers: Sequence[Verdict],
    curves: Sequence[ScalingCurve],
    figure: Picture | None,
) -> tuple[Block, ...]:
    """Verdicts first, then the figure that shows them, then what limits them."""
    cards = tuple(card(answer) for answer in answers[:MAIN_CARDS])
    others = tuple(brief(answer) for answer in answers[MAIN_CARDS:])
    after = records.plan.asked_after
    keep = [
        f"**The questions were stated when {after} runs were already finished.**"
        if after
        else None,
        *(f"**Mixed on request:** {mixture}." for mixture in records.mixed),
        tuning_sentence(records),
        worth_sentence(records, curves),
        next_study(answers),
        chance_sentence(records, summary),
        starting_point(records, summary),
    ]
    return (
        *((Text(f"**Question.** {records.plan.question}"),) if records.plan.question else ()),
        *cards,
        *others,
        *((figure,) if figure is not None else ()),
        Bullets(tuple(line for line in keep if line)),
    )


def banner(records: Records) -> str:
    """What stands above everything said of an unfinished sweep; empty when it is done."""
    if records.complete:
        return ""
    finished, planned = int(records.runs["finished"].sum()), len(records.runs)
    return f"Unfinished: {finished} of {planned} runs. No claims; numbers are a look on the way."


def card(answer: Verdict) -> document.Verdict:
    """A question with its badge, its sentence and what was asked for."""
    question = answer.question
    said = sentence(answer).partition(": ")[2]
    asked = {
        "equal": f"Asked for: equal within {smallest_text(question)}.",
        "not-worse": f"Asked for: not worse by {smallest_text(question)}.",
    }.get(question.direction, f"Asked for: better by {smallest_text(question)}.")
    if question.smallest_difference == 0:
        asked = "Asked for: better, by whatever amount."
    found = answer.decisive.found
    judged = found is not None and found.low is not None and not found.preliminary
    if judged and found.level > LEVEL + 1e-9:
        asked += f" Interval at {percent(found.level)}: corrected for several comparisons."
    arms = tuple(arm for pair in question.pairs() for arm in pair)
    if not said.startswith(arms):  # names stay as they are
        said = said[:1].upper() + said[1:]
    return document.Verdict(question.question, outcome(answer), said, asked)


def brief(answer: Verdict) -> document.Verdict:
    """A question with its badge and the numbers that decided it."""
    question, decisive = answer.question, answer.decisive
    compared = comparison_text(question)
    if question.order is not None:
        compared = f"{decisive.contrast.arm} − {decisive.contrast.baseline} (furthest from it)"
    where = f"{compared}, {question.benchmark} {metric(question.metric).label}"
    found = decisive.found
    numbers = "nothing measured" if found is None else interval_text(question.metric, found)
    if found is not None and found.low is not None:
        numbers += f" ({percent(found.level)})"
    return document.Verdict(question.question, outcome(answer), f"{where}: {numbers}", brief=True)


def outcome(answer: Verdict) -> str:
    """The verdict, or `unfinished` while runs of the compared arms are missing."""
    waiting = any(f.contrast.finished < f.contrast.runs for f in answer.pairs)
    return "unfinished" if waiting else answer.verdict


def worth_sentence(records: Records, curves: Sequence[ScalingCurve]) -> str | None:
    """What a label is worth by the headline's last metric; None without a yardstick for it."""
    asked = records.plan.headline
    place = (asked.benchmark, asked.metrics[-1])
    curve = next((c for c in curves if (c.benchmark, c.metric) == place and c.worth), None)
    if curve is None:
        return None
    mark, worth = next(iter(curve.worth.items()))
    where = f"By {metric(curve.metric).label} on the {curve.benchmark} scenes"
    if worth.clips is None:
        return f"{where} no number of unlabelled clips up to {worth.largest:g} reaches {mark}."
    text = f"{where} {worth.clips:.0f} unlabelled clips are as good as {mark}: {worth.worth:.3g}"
    if worth.interval is not None:
        low, high = worth.interval
        end = "without an upper bound" if high is None else f"to {high:.3g}"
        return f"{text} for each labelled clip that it has more (95 %: from {low:.3g}, {end})."
    return f"{text} for each labelled clip that it has more."


def next_study(answers: Sequence[Verdict]) -> str | None:
    """How many seeds would decide the first open question, one about two arms if there is one."""
    open_ = [answer for answer in answers if answer.verdict == UNDECIDED and plannable(answer)]
    open_.sort(key=lambda answer: answer.question.order is not None)  # stable
    if not open_:
        return None
    return f"Next study, for “{open_[0].question.question}”: {seeds_sentence(open_[0])}"


def plannable(answer: Verdict) -> bool:
    """Whether the spread over seeds and scenes is known, and a difference of interest stated."""
    values = answer.decisive.contrast.values
    if answer.question.smallest_difference == 0 or values.ndim != 2 or not values.size:
        return False
    values = drop_empty(values)
    return len(values) >= 2 and values.shape[1] >= 2


def seeds_sentence(answer: Verdict) -> str:
    """What this study could find, and what finds the smallest difference of interest."""
    question = answer.question
    seeds, scenes = drop_empty(answer.decisive.contrast.values).shape
    able, needed = power_cells(answer)
    return (
        f"with {seeds} seeds and {scenes} scenes a true difference of {able} in "
        f"{metric(question.metric).label} is found with 80 % power; {smallest_text(question)} "
        f"needs {needed}."
    )


def power_cells(answer: Verdict) -> tuple[str, str]:
    """The difference that this study finds with 80 % power; the design that finds the one asked
    for."""
    question = answer.question
    values = drop_empty(answer.decisive.contrast.values)
    seeds, scenes = values.shape
    found = components(values)
    words = (
        number(question.metric, detectable(found, seeds, scenes)),
        unit_of_difference(question.metric),
    )
    able = " ".join(word for word in words if word)
    needed = seeds_needed(values, question.smallest_difference)
    if needed.seeds is not None:
        more = "" if needed.cautious in (None, needed.seeds) else f" (to be safe {needed.cautious})"
        return able, f"{needed.seeds} seeds{more}"
    for times in MORE_SCENES:
        enough = seeds_for(found, question.smallest_difference, times * scenes)
        if enough is not None and enough <= MANY_SEEDS:
            return able, f"more scenes: {enough} seeds on {times * scenes}"
    return able, f"more than {MORE_SCENES[-1] * scenes} scenes"
