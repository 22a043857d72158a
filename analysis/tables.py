"""Benchmark, difference and cost tables as Markdown, CSV, LaTeX (booktabs) and plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.metrics import heading, improvement, number
from analysis.plan import INITIALISATION
from analysis.records import Records
from analysis.summary import CHANCE, Row, Summary, excludes_zero, scored_arms
from flow3r.files import write_text


@dataclass(frozen=True)
class Table:
    """Cells as text; `marked` holds the (row, column) cells to be set in bold.

    The first column is left aligned, the others right.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: frozenset[tuple[int, int]] = frozenset()
    note: str = ""


def shown_metrics(summary: Summary, benchmark: str, wanted: Sequence[str]) -> list[str]:
    """Those of the wanted metrics that at least one arm (other than chance) has."""
    rows = summary.arms[(summary.arms["benchmark"] == benchmark) & (summary.arms["arm"] != CHANCE)]
    return [name for name in wanted if name in set(rows["metric"])]


def benchmark_table(
    records: Records, summary: Summary, benchmark: str, metrics: Sequence[str]
) -> Table:
    """Mean ± half interval of every arm, then chance; the best trained arm of a metric marked."""
    arms = trained_then_initial(records)
    rows, marked = [], set()
    for arm in [*arms, CHANCE]:
        cells = [summary.score(arm, benchmark, name) for name in metrics]
        texts = [score_cell(name, row) for name, row in zip(metrics, cells)]
        rows.append((_arm_label(records, arm), seeds_cell(records, arm), *texts))
    for column, name in enumerate(metrics):
        best = _best_arm(records, summary, benchmark, name)
        if best is not None:
            marked.add((arms.index(best), column + 2))
    return Table(
        f"{benchmark.capitalize()} scenes",
        ("arm", "seeds", *(heading(name) for name in metrics)),
        tuple(rows),
        frozenset(marked),
        "Mean ± half of the 95 % interval over seeds and scenes; bold: the best mean (whether it "
        "differs from the others is for the table of differences to say). "
        "chance: the best constant prediction.",
    )


def difference_table(
    records: Records, summary: Summary, benchmark: str, metrics: Sequence[str], baseline: str
) -> Table:
    """Paired difference of every arm to the baseline; intervals that exclude zero are marked."""
    rows, marked = [], set()
    for arm in trained_then_initial(records):
        found = [summary.difference(arm, baseline, benchmark, name) for name in metrics]
        if arm == baseline or all(row is None for row in found):
            continue
        for column, row in enumerate(found):
            if row is not None and excludes_zero(row):
                marked.add((len(rows), column + 2))
        seeds = max(row["seeds"] for row in found if row is not None)
        texts = [difference_cell(name, row) for name, row in zip(metrics, found)]
        rows.append((_arm_label(records, arm), str(seeds), *texts))
    return Table(
        f"{benchmark.capitalize()} scenes: paired difference to {baseline}",
        ("arm", "seeds", *(heading(name) for name in metrics)),
        tuple(rows),
        frozenset(marked),
        f"Arm minus {baseline}, paired over shared seeds and scenes, with its 95 % interval; "
        "bold: the interval excludes zero. The arrow is the metric's better direction.",
    )


def cost_table(records: Records) -> Table:
    """What each arm cost: means over its finished runs."""
    rows = []
    for arm in trained_then_initial(records):
        runs = records.runs[(records.runs["arm"] == arm) & records.runs["finished"]]
        rows.append(
            (
                _arm_label(records, arm),
                str(len(runs)),
                _mean_text(runs["step"], 1, "d"),
                _count_text(records.plan.arm(arm).labelled_clips),
                _count_text(records.plan.arm(arm).unlabelled_clips),
                _mean_text(runs["train_seconds"], 1, ".0f"),
                _mean_text(runs["seconds"], 1, ".0f"),
                _mean_text(runs["parameters"], 1e6, ".3f"),
                _mean_text(runs["peak_memory_bytes"], 2**20, ".0f"),
            )
        )
    header = (
        "arm", "runs", "steps", "labelled clips", "unlabelled clips", "training (s)", "total (s)",
        "parameters (M)", "peak memory (MiB)",
    )  # fmt: skip
    note = (
        "Means per run over the finished runs. Times depend on the machine and on what else it "
        "was doing; stages shared by all runs (data, initialisation) are not included."
    )
    return Table("Cost", header, tuple(rows), note=note)


def to_markdown(table: Table) -> str:
    """A Markdown pipe table."""
    lines = [
        "| " + " | ".join(_markdown(cell) for cell in table.header) + " |",
        "| --- |" + " ---: |" * (len(table.header) - 1),
    ]
    for i, row in enumerate(table.rows):
        cells = [
            f"**{_markdown(cell)}**" if (i, j) in table.marked else _markdown(cell)
            for j, cell in enumerate(row)
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def to_latex(table: Table) -> str:
    """A booktabs table; needs \\usepackage{booktabs} and nothing else."""
    lines = [
        r"\begin{tabular}{l" + "r" * (len(table.header) - 1) + "}",
        r"\toprule",
        " & ".join(latex_escape(cell) for cell in table.header) + r" \\",
        r"\midrule",
    ]
    for i, row in enumerate(table.rows):
        cells = [
            rf"\textbf{{{latex_escape(cell)}}}" if (i, j) in table.marked else latex_escape(cell)
            for j, cell in enumerate(row)
        ]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def to_text(table: Table) -> str:
    """Aligned plain text for a console; marked cells carry an asterisk."""
    marked = [
        [f"{cell}*" if (i, j) in table.marked else cell for j, cell in enumerate(row)]
        for i, row in enumerate(table.rows)
    ]
    cells = [list(table.header), *marked]
    widths = [max(len(row[j]) for row in cells) for j in range(len(table.header))]
    lines = [
        "  ".join(
            c.rjust(w) if j else c.ljust(w) for j, (c, w) in enumerate(zip(row, widths))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([table.title, *(line.rstrip() for line in lines)]) + "\n"


def write_tables(table: Table, data: pd.DataFrame, stem: Path) -> None:
    """Write stem.md and stem.tex (the table as shown) and stem.csv (`data`, the plain numbers)."""
    note = f"\n{table.note}\n" if table.note else ""
    write_text(stem.with_suffix(".md"), f"{to_markdown(table)}{note}")
    write_text(stem.with_suffix(".tex"), to_latex(table))
    write_text(stem.with_suffix(".csv"), data.to_csv(index=False))


LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "−": "$-$", "–": "--", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "[": "{[}", "]": "{]}",
}  # fmt: skip


def latex_escape(text: str) -> str:
    """Escape what LaTeX would read as a command; `[` too, which `\\\\` takes for an argument."""
    return "".join(LATEX.get(character, character) for character in text)


def _markdown(text: str) -> str:
    return text.replace("|", r"\|").replace("_", r"\_").replace("*", r"\*")


def trained_then_initial(records: Records) -> list[str]:
    """The scored arms in the plan's order, the initialisation last."""
    arms = scored_arms(records)
    return sorted(arms, key=lambda arm: arm == INITIALISATION)  # stable: keeps the plan's order


def _arm_label(records: Records, arm: str) -> str:
    if arm == CHANCE:
        return arm
    runs = records.runs[records.runs["arm"] == arm]
    return arm if runs["finished"].all() else f"{arm} (incomplete)"


def seeds_cell(records: Records, arm: str) -> str:
    """How many seeds are finished, `2 of 5` where some are not; empty for chance."""
    runs = records.runs[records.runs["arm"] == arm]
    if runs.empty:
        return ""
    done, planned = int(runs["finished"].sum()), len(runs)
    return str(done) if done == planned else f"{done} of {planned}"


def _best_arm(records: Records, summary: Summary, benchmark: str, name: str) -> str | None:
    """The arm with the best mean; yardsticks of the plan and the initialisation do not compete."""
    best: tuple[float, str] | None = None
    for arm in scored_arms(records):
        row = summary.score(arm, benchmark, name)
        if row is None or arm == INITIALISATION or records.plan.arm(arm).yardstick:
            continue
        score = improvement(name, row["mean"])
        if best is None or score > best[0]:
            best = (score, arm)
    return None if best is None else best[1]


def score_cell(name: str, row: Row | None) -> str:
    """Mean ± half of the interval; the mean alone where there is no interval."""
    if row is None:
        return "–"
    if row["low"] is None:
        return number(name, row["mean"])
    return f"{number(name, row['mean'])} ± {number(name, (row['high'] - row['low']) / 2)}"


def difference_cell(name: str, row: Row | None) -> str:
    """Difference [low, high], signed; the difference alone where there is no interval."""
    if row is None:
        return "–"
    text = number(name, row["difference"], signed=True)
    if row["low"] is None:
        return text
    return f"{text} [{number(name, row['low'], True)}, {number(name, row['high'], True)}]"


def _mean_text(values: pd.Series, unit: float, form: str) -> str:
    values = pd.to_numeric(values).dropna()
    if values.empty:
        return "–"
    mean = values.mean() / unit
    return f"{round(mean) if form == 'd' else mean:{form}}"


def _count_text(count: int | None) -> str:
    return "–" if count is None else str(count)
