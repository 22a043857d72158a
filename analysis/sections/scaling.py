"""The scaling curve in numbers: gain, slope, fits, and what an unlabelled clip is worth."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.document import Block, Section, TableBlock, Text
from analysis.fits import Fit
from analysis.label_worth import LabelWorth
from analysis.markup import Table
from analysis.metrics import metric, number
from analysis.scaling import ScalingCurve
from analysis.wording import interval_text


def scaling_section(curves: Sequence[ScalingCurve]) -> Section | None:
    """None where the sweep has no scaling axis."""
    if not curves:
        return None
    blocks: list[Block] = [
        Text(
            "Gain: largest minus smallest count. Slope: least squares on log2(1 + clips), per "
            "doubling. Both are paired over seeds and scenes, and neither claims a shape."
        ),
        TableBlock(gain_table(curves), titled=False),
        TableBlock(fit_table(curves)),
        TableBlock(worth_table(curves)),
    ]
    return Section(
        "Scaling with unlabelled clips",
        tuple(block for block in blocks if not isinstance(block, TableBlock) or block.table.rows),
        hint="gain, slope, fits, what a label is worth",
    )


def gain_table(curves: Sequence[ScalingCurve]) -> Table:
    """Gain, slope, and the largest count against each yardstick."""
    marks = list(dict.fromkeys(mark for curve in curves for mark in curve.margins))
    rows = []
    for curve in curves:
        if curve.gain is None or curve.slope is None:
            rows.append(
                (_place(curve), "fewer than two counts share a seed", *("–" for _ in marks), "–")
            )
            continue
        cells = [interval_text(curve.metric, curve.gain), interval_text(curve.metric, curve.slope)]
        cells += [
            interval_text(curve.metric, curve.margins[mark]) if mark in curve.margins else "–"
            for mark in marks
        ]
        rows.append((_place(curve), *cells))
    header = ("measure", "gain", "per doubling", *(f"largest − {mark}" for mark in marks))
    return Table("Gains", header, tuple(rows), note="Intervals at 95 %, not corrected.")


def fit_table(curves: Sequence[ScalingCurve]) -> Table:
    """Every fitted shape, the chosen one marked, with its prediction of the largest count."""
    rows, marked = [], set()
    for curve in curves:
        ahead = {found.shape: found for found in curve.held_out}
        for i, fit in enumerate(curve.fits):
            if i == 0:
                marked.add((len(rows), 1))
            held = ahead.get(fit.shape)
            said = "–"
            if held is not None:
                name = curve.metric
                said = number(name, held.predicted)
                if held.low is not None:
                    said += f" [{number(name, held.low)}, {number(name, held.high)}]"
                said += f"; measured {number(name, held.measured)}"
            rows.append((_place(curve), fit.shape, _aicc(fit, curve), _parameters(fit), said))
    return Table(
        "Fitted shapes",
        ("measure", "shape", "AICc − best", "parameters", "largest count from the others"),
        tuple(rows),
        frozenset(marked),
        "Bold: chosen by AICc. x = 1 + clips / labelled clips; log-linear: level + slope log2 x; "
        "power law: limit + gain x^−exponent. In brackets: 95 %, from resampled runs, if the shape "
        "is right. The last column holds the largest count out and predicts it.",
    )


def worth_table(curves: Sequence[ScalingCurve]) -> Table:
    """Unlabelled clips that replace one labelled clip."""
    rows = [
        (_place(curve), mark, _clips(worth), _worth(worth))
        for curve in curves
        for mark, worth in curve.worth.items()
    ]
    return Table(
        "What a label is worth",
        ("measure", "yardstick", "as good as it at", "unlabelled clips for one labelled clip"),
        tuple(rows),
        note="Where the measured curve, interpolated between its counts, meets a yardstick with "
        "more labels; nothing is extrapolated. In brackets: every count at which the paired 95 % "
        "interval of curve minus yardstick contains zero. At 0 unlabelled clips the flow loss acts "
        "on the labelled clips alone.",
    )


def _place(curve: ScalingCurve) -> str:
    return f"{curve.benchmark} {metric(curve.metric).label}"


def _aicc(fit: Fit, curve: ScalingCurve) -> str:
    difference = fit.aicc - curve.fits[0].aicc
    return (
        "too few points"
        if difference != difference or difference == float("inf")
        else (f"{difference:.1f}")
    )


def _parameters(fit: Fit) -> str:
    parts = []
    for name, value in fit.parameters.items():
        text = f"{name} {value:.3g}"
        if fit.intervals is not None:
            low, high = fit.intervals[name]
            text += f" [{low:.3g}, {high:.3g}]"
        parts.append(text)
    if not fit.identified:
        parts.append("exponent not identified")
    return ", ".join(parts).replace("-", "−")


def _clips(worth: LabelWorth) -> str:
    if worth.clips is None:
        reached = "not reached" if worth.excluded else "not reached by the mean"
        return f"{reached} up to {worth.largest:g}"
    text = f"{worth.clips:.0f} clips"
    if worth.low is None:
        return text
    return f"{text} [{worth.low:.0f}, {_end(worth.high)}]"


def _worth(worth: LabelWorth) -> str:
    interval = worth.interval
    mean = "–" if worth.worth is None else f"{worth.worth:.3g}"
    if not worth.known:
        return f"{mean} (one seed, no interval)"
    if interval is None:
        return mean
    low, high = interval
    return f"{mean} [{low:.3g}, {'no bound' if high is None else f'{high:.3g}'}]"


def _end(high: float | None) -> str:
    return "no bound" if high is None else f"{high:.0f}"
