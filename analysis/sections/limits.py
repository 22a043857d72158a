"""What a seed varies, what it does not, and what is not claimed."""

from __future__ import annotations

from analysis.document import Bullets, Section, Text
from analysis.plan import INITIALISATION
from analysis.records import Records


def limits_section(records: Records) -> Section:
    """How to read the report."""
    varies, fixed = _chances(records)
    return Section(
        "What is not claimed",
        (
            Bullets(tuple(_limits(records))),
            Text(f"**What varies with the seed:** {varies}. A seed means the same in every arm."),
            Text(
                f"**What does not vary:** {fixed}. The intervals are conditional on these: with "
                "another pretraining or other labelled clips the answer could differ by more than "
                "they say."
            ),
            Text(
                "**Test scenes** are scored once per run, after its last step. Curves during "
                "training are of separate validation scenes, and so are choices of settings by "
                "design."
            ),
        ),
        folded=False,
    )


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


def _limits(records: Records) -> list[str]:
    lines = [
        "Anything about the published model: the network, the data and the training here are "
        "far smaller, and the scenes are those named above.",
        "Anything about another initialisation or another labelled subset.",
        "That two arms are equal where a difference is undecided.",
    ]
    if records.plan.scaling_prefix is not None:
        lines.append(
            "Anything beyond the largest count: a fitted curve is drawn further (dashed) to show "
            "what the shapes would mean, not what would be measured."
        )
    return lines
