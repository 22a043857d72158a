"""A table of text cells as Markdown, LaTeX (booktabs), CSV and plain text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flow3r.files import write_text

PROSE_CELL = 32  # characters; a longer cell is a sentence


@dataclass(frozen=True)
class Table:
    """Cells as text; `marked` holds the (row, column) cells to be set in bold.

    The first column is left aligned, the others right. headings: rows that hold the title of those
    below them in their first cell, and nothing else.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: frozenset[tuple[int, int]] = frozenset()
    note: str = ""
    headings: frozenset[int] = frozenset()


def to_markdown(table: Table) -> str:
    """A Markdown pipe table; headings between the rows are set in italics."""
    lines = [
        "| " + " | ".join(_markdown(cell) for cell in table.header) + " |",
        "| --- |" + " ---: |" * (len(table.header) - 1),
    ]
    for i, row in enumerate(table.rows):
        if i in table.headings:
            row_cells = [f"*{_markdown(row[0])}*", *row[1:]]
        else:
            row_cells = [_bold(cell, (i, j) in table.marked) for j, cell in enumerate(row)]
        lines.append("| " + " | ".join(row_cells) + " |")
    return "\n".join(lines) + "\n"


def _bold(cell: str, marked: bool) -> str:
    return f"**{_markdown(cell)}**" if marked else _markdown(cell)


def to_latex(table: Table) -> str:
    """A booktabs table; needs \\usepackage{booktabs} and nothing else."""
    lines = [
        rf"\begin{{tabular}}{{{_column_types(table)}}}",
        r"\toprule",
        " & ".join(latex_escape(cell) for cell in table.header) + r" \\",
        r"\midrule",
    ]
    for i, row in enumerate(table.rows):
        if i in table.headings:
            lines += [r"\midrule"] if i else []
            span = rf"\multicolumn{{{len(table.header)}}}{{l}}"
            lines.append(rf"{span}{{\emph{{{latex_escape(row[0])}}}}} \\")
            continue
        cells = [
            rf"\textbf{{{latex_escape(cell)}}}" if (i, j) in table.marked else latex_escape(cell)
            for j, cell in enumerate(row)
        ]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _column_types(table: Table) -> str:
    """Left, then right aligned; columns of prose get a share of the line and are broken."""
    cells = [row for i, row in enumerate(table.rows) if i not in table.headings]
    longest = [max((len(row[j]) for row in cells), default=0) for j in range(len(table.header))]
    prose = sum(length for length in longest if length > PROSE_CELL)
    return "".join(
        rf"p{{{0.6 * length / prose:.2f}\linewidth}}" if length > PROSE_CELL else "lr"[j > 0]
        for j, length in enumerate(longest)
    )


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
    "†": r"$^{\dagger}$", "×": r"$\times$", "≈": r"$\approx$",
    "<": "$<$", ">": "$>$", "|": r"\textbar{}", "—": "---", "“": "``", "”": "''",
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
