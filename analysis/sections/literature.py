"""The paper's own figures, clearly apart from ours."""

from __future__ import annotations

from collections.abc import Sequence

from analysis import published
from analysis.document import Section, TableBlock, Text
from analysis.markup import Table
from analysis.metrics import heading, metric
from analysis.records import Records


def published_section(records: Records) -> Section:
    """The table of the paper that asks what the sweep asks."""
    scaling = records.plan.scaling_prefix is not None
    note = (
        f"From the paper (Table {4 if scaling else 1}): full-size backbone, real data (static: "
        "ScanNet++, dynamic: OmniWorld), one seed, no intervals. Only directions can be compared "
        "with the figures of this report; absolute values and distances cannot."
    )
    tables = [_scaling()] if scaling else _formulations()
    return Section(
        "Published figures, for orientation",
        (Text(note), *(TableBlock(table, titled=not scaling) for table in tables)),
        hint="not ours: other data, other scale",
    )


def _scaling() -> Table:
    header = ("labelled", "unlabelled", *(heading(name) for name in published.METRICS))
    rows = [(labelled, str(count), *_shown(v)) for labelled, count, v in published.SCALING]
    return Table("Published: scaling", header, tuple(rows))


def _formulations() -> list[Table]:
    header = ("variant", *(heading(name) for name in published.METRICS))
    return [
        Table(f"Published: {name}", header, tuple((k, *_shown(v)) for k, v in values.items()))
        for name, values in published.FORMULATIONS.items()
    ]


def _shown(values: Sequence[float]) -> list[str]:
    """With the digits of the paper: two for percentages, three for distances."""
    return [
        f"{value:.{2 if metric(name).unit == '%' else 3}f}"
        for name, value in zip(published.METRICS, values)
    ]
