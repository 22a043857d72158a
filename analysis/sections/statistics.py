"""How the numbers were judged: intervals, corrections, power, effect sizes; what is not claimed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.document import Bullets, Section, TableBlock
from analysis.effects import cohen_dz, rank_biserial
from analysis.markup import Table
from analysis.metrics import improvement, metric
from analysis.permutation import seed_test
from analysis.records import Records
from analysis.sections.front import plannable, power_cells
from analysis.statistics import LEVEL, drop_empty
from analysis.summary import Summary
from analysis.verdict_words import smallest_text
from analysis.verdicts import Verdict


def statistics_section(records: Records, summary: Summary, answers: Sequence[Verdict]) -> Section:
    """Method in words, then effect sizes and power of every question."""
    tables = [effect_table(answers), power_table(answers)]
    return Section(
        "Statistics: intervals, corrections, power",
        (
            Bullets(tuple(_method(records, summary))),
            *(TableBlock(table) for table in tables if table.rows),
        ),
    )


def power_table(answers: Sequence[Verdict]) -> Table:
    """What this study could find, and what the next one needs, question by question."""
    rows = [
        (answer.question.question, *_found_and_asked(answer))
        for answer in answers
        if plannable(answer)
    ]
    return Table(
        "How many seeds next?",
        ("question", "this study finds", "asked for", "which needs"),
        tuple(rows),
        note="With 80 % power, from the variances over seeds and scenes of this study's own "
        "differences. In brackets: with the seeds' variance at its upper 80 % confidence bound, "
        "since few seeds know it badly. Where the scenes limit, more seeds do not help.",
    )


def _found_and_asked(answer: Verdict) -> tuple[str, str, str]:
    able, needed = power_cells(answer)
    return able, smallest_text(answer.question), needed


def _method(records: Records, summary: Summary) -> list[str]:
    lines = [
        f"**Intervals** are {LEVEL:.0%} t intervals for a mean over seeds and test scenes, which "
        "count as crossed random effects: a claim is about new seeds on new scenes of these kinds. "
        "Differences are paired: same seed, same scene, same data order.",
        "**Calibration.** The intervals were chosen by resampled studies whose truth is known "
        "(`python analysis/calibration.py` prints false positives, coverage and power by number of "
        "seeds): they cover 93-97 % with 3 to 10 seeds, where bootstraps of 3 seeds cover 80 %. "
        "With few seeds they are wide: with 3, up to 4.3 standard errors on either side instead "
        "of 2.",
        "**Several questions.** Questions of one family, and the pairs of an order, are corrected "
        "together (Holm). The tables of scores and differences are for looking: their intervals "
        "are not corrected, and a claim is made only by the questions.",
        "**Looking early.** Nothing is claimed before every planned run of the compared arms is "
        "finished; intervals of an unfinished comparison are widened (O'Brien-Fleming).",
    ]
    finished = records.runs[records.runs["finished"]]
    seeds = finished.groupby("arm", sort=False)["seed"].nunique()
    if (seeds == 1).any():
        names = ", ".join(seeds.index[seeds == 1])
        lines.append(f"One finished seed gives no interval: {names}.")
    missing = summary.comparisons[summary.comparisons["missing"] > 0]
    if not missing.empty:
        labels = ", ".join(metric(name).label for name in missing["metric"].unique())
        lines.append(
            f"Some scenes have no value of {labels} (undefined there, or not finite); they are "
            "left out per run, and counted in the column `missing` of the CSV tables."
        )
    return lines


def effect_table(answers: Sequence[Verdict]) -> Table:
    """Per judged pair: seeds in favour, effect sizes, and the exact test over seeds."""
    rows = []
    for answer in answers:
        for finding in answer.pairs:
            contrast = finding.contrast
            values = drop_empty(contrast.values) if contrast.values.size else np.empty((0, 0))
            if values.size == 0:
                continue
            sign = improvement(answer.question.metric, 1.0)
            means = sign * np.nanmean(values, axis=1)
            scenes = sign * np.nanmean(values, axis=0)
            test = seed_test(values)
            name = f"{contrast.arm} − {contrast.baseline}" if contrast.arm else "slope"
            place = f"{answer.question.benchmark} {metric(answer.question.metric).label}"
            rows.append((
                name, place, f"{int((means > 0).sum())} of {len(means)}",
                _number(cohen_dz(means)) if len(means) > 1 else "–",
                _number(rank_biserial(scenes)),
                f"{test.p_value:.3f}", f"{test.smallest:.3f}",
            ))  # fmt: skip
    rows = list(dict.fromkeys(rows))
    return Table(
        "Effect sizes",
        ("comparison", "measure", "seeds in favour", "d_z over seeds", "rank correlation (scenes)",
         "exact p over seeds", "least possible"),
        tuple(rows),
        note="Positive favours the first arm. d_z: mean over standard deviation of the seeds' "
        "differences (Hedges' correction). Rank correlation: matched pairs over scenes. Exact p: "
        "two-sided sign-flip test over the seeds' means, for which the last column is the least "
        "that so many seeds can give; with fewer than 6 seeds it cannot reach 0.05.",
    )  # fmt: skip


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:+.2f}".replace("-", "−")
