"""The last section of a report: what its intervals mean, and what it does not claim."""

from __future__ import annotations

from analysis.metrics import metric
from analysis.plan import INITIALISATION
from analysis.records import Records
from analysis.statistics import LEVEL
from analysis.summary import Summary


def reading_section(records: Records, summary: Summary) -> str:
    """Markdown of the whole section."""
    varies, fixed = _chances(records)
    lines = [
        "## How to read this / what is not claimed",
        "",
        "**Verdicts.** Yes (holds): at least one headline metric has an interval on the better "
        "side of zero and none has one on the worse side; No: the reverse; Mixed: one of each; "
        "Undecided: every interval contains zero, or there is none. Undecided is not evidence of "
        "equality.",
        "",
        f"**What varies with the seed:** {varies}. A seed means the same in every arm.",
        "",
        f"**What does not vary:** {fixed}. The intervals are conditional on these: with another "
        "pretraining or other labelled clips the answer could differ by more than they say.",
        "",
        f"**Intervals.** {_method(summary)}",
        *_exceptions(records, summary),
        "",
        "**Test scenes** are scored once per run, after its last step. Curves during training "
        "are of separate validation scenes, and so are choices of settings by design.",
        "",
        "**Not claimed:**",
        "",
        *_limits(records),
    ]
    return "\n".join(lines)


def _chances(records: Records) -> tuple[str, str]:
    """What a seed draws anew, and what all seeds share, by the recorded initialisation."""
    runs = records.runs[records.runs["finished"] & (records.runs["arm"] != INITIALISATION)]
    kinds = set(runs["initialisation"].dropna())
    heads = sorted({head for names in runs["pretrained_heads"] for head in names.split()})
    varies = "the order of the data, the augmentation"
    data = "one labelled subset, one set of generated clips and test scenes"
    if kinds == {"random"}:
        return f"{varies}, and all initial weights", data
    varies += ", and the initial weights of a flow head that the shared initialisation lacks"
    if heads:
        varies += f" (it holds those of {' and '.join(heads)}, which therefore start equal)"
    return varies, f"the shared initialisation (one pretraining seed), {data}"


def _method(summary: Summary) -> str:
    return (
        f"{LEVEL:.0%} intervals for a mean over seeds and test scenes: the hull of a two-way "
        f"percentile bootstrap ({summary.resamples} resamples of seeds and scenes) and a t "
        "interval that adds the variance over seeds and the variance over scenes. With a handful "
        "of seeds the percentile bootstrap alone is too narrow (3 seeds have 10 distinct "
        "resamples, 5 have 126); the t interval widens it and usually decides. Differences are "
        "paired: same seed, same scene, same data order. Not corrected for the number of "
        "comparisons made."
    )


def _exceptions(records: Records, summary: Summary) -> list[str]:
    lines = []
    finished = records.runs[records.runs["finished"]]
    seeds = finished.groupby("arm", sort=False)["seed"].nunique()
    if (seeds == 1).any():
        names = ", ".join(seeds.index[seeds == 1])
        lines += ["", f"One finished seed gives no interval: {names}."]
    missing = summary.comparisons[summary.comparisons["missing"] > 0]
    if not missing.empty:
        labels = ", ".join(metric(name).label for name in missing["metric"].unique())
        lines += [
            "",
            f"Some scenes have no value of {labels} (undefined there, or not finite); they are "
            "left out per run, and counted in the column `missing` of the CSV tables.",
        ]
    return lines


def _limits(records: Records) -> list[str]:
    lines = [
        "- Anything about the published model: the network, the data and the training here are "
        "far smaller, and the scenes are those named above.",
        "- Anything about another initialisation or another labelled subset.",
    ]
    if records.plan.scaling_prefix is not None:
        lines.append("- Anything beyond the largest count: no curve is extrapolated.")
    return lines
