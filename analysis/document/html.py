"""A document as one HTML file: style and images inside, no script, nothing fetched."""

from __future__ import annotations

import base64
import re
from functools import singledispatch
from html import escape
from pathlib import Path

from analysis.document.blocks import (
    Block,
    Bullets,
    Document,
    Picture,
    Section,
    TableBlock,
    Text,
    Verdict,
)
from analysis.markup import PROSE_CELL, Table

STYLE = Path(__file__).with_name("style.css")
SIGNS = {"holds": "✓", "fails": "✗", "undecided": "?", "unfinished": "…"}
NARROW = "(max-width: 640px)"  # the same width as in the style sheet
INLINE = re.compile(r"\*\*(?P<bold>.+?)\*\*|`(?P<code>[^`]+)`|\[(?P<text>[^]]+)\]\((?P<to>[^)]+)\)")


def render_html(document: Document) -> str:
    """The document as a self-contained page."""
    contents = "".join(
        f'<li><a href="#{anchor(section.title)}">{inline(section.title)}</a></li>'
        for section in document.sections
    )
    body = [
        f"<header><h1>{inline(document.title)}</h1><p>{inline(document.subtitle)}</p></header>",
        f'<p class="banner" role="alert">{inline(document.banner)}</p>' if document.banner else "",
        *(_block(block, 2) for block in document.front),
        f'<nav aria-label="Contents"><ul>{contents}</ul></nav>' if contents else "",
        *(_block(section, 2) for section in document.sections),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(document.title)}</title>\n"
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def inline(text: str) -> str:
    """Text as HTML: escaped, with **bold**, `code` and [links](address)."""
    parts, end = [], 0
    for found in INLINE.finditer(text):
        parts += [escape(text[end : found.start()]), _marked(found)]
        end = found.end()
    return "".join([*parts, escape(text[end:])])


def _marked(found: re.Match) -> str:
    if found["bold"]:
        return f"<strong>{inline(found['bold'])}</strong>"
    if found["code"]:
        return f"<code>{escape(found['code'])}</code>"
    return f'<a href="{escape(found["to"])}">{inline(found["text"])}</a>'


def anchor(title: str) -> str:
    """The name that links to a section use."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@singledispatch
def _block(block: Block, level: int) -> str:
    raise TypeError(f"a document has no block of type {type(block).__name__}")


@_block.register
def _text(block: Text, level: int) -> str:
    return f"<p{' class=quiet' if block.quiet else ''}>{inline(block.text)}</p>"


@_block.register
def _bullets(block: Bullets, level: int) -> str:
    items = "".join(f"<li>{inline(item)}</li>" for item in block.items)
    return f"<ul>{items}</ul>"


@_block.register
def _table_block(block: TableBlock, level: int) -> str:
    title = f"<h{level}>{inline(block.table.title)}</h{level}>" if block.titled else ""
    note = f'<p class="quiet">{inline(block.table.note)}</p>' if block.table.note else ""
    return f"{title}{_table(block.table)}{note}"


def _table(table: Table) -> str:
    """The table in a box of its own, which scrolls where the page is narrower."""
    prose = _prose_columns(table)
    head = "".join(
        f'<th scope="col"{" class=prose" if j in prose else ""}>{inline(cell)}</th>'
        for j, cell in enumerate(table.header)
    )
    rows = "".join(_row(table, i, prose) for i in range(len(table.rows)))
    label = escape(table.title or "table", quote=True)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _prose_columns(table: Table) -> set[int]:
    """The columns with a sentence in them, which are broken into lines and set to the left."""
    rows = [row for i, row in enumerate(table.rows) if i not in table.headings]
    return {j for row in rows for j, cell in enumerate(row) if len(cell) > PROSE_CELL}


def _row(table: Table, index: int, prose: set[int]) -> str:
    first, *rest = table.rows[index]
    if index in table.headings:
        return f'<tr class="heading"><th colspan="{len(table.header)}">{escape(first)}</th></tr>'
    kinds = [' class="prose"' if j in prose else "" for j in range(len(rest) + 1)]
    cells = [f'<th scope="row"{kinds[0]}>{_cell(table, index, 0)}</th>']
    cells += [f"<td{kinds[j]}>{_cell(table, index, j)}</td>" for j in range(1, len(rest) + 1)]
    return f"<tr>{''.join(cells)}</tr>"


def _cell(table: Table, row: int, column: int) -> str:
    shown = escape(table.rows[row][column])
    return f"<strong>{shown}</strong>" if (row, column) in table.marked else shown


@_block.register
def _picture(block: Picture, level: int) -> str:
    alternative = escape(block.caption.replace("**", "").replace("`", ""), quote=True)
    image = f'<img src="{_data(block.png)}" alt="{alternative}">'
    kind = "scroll wide" if block.narrow is None else "fitted"
    if block.narrow is not None:
        source = f'<source media="{NARROW}" srcset="{_data(block.narrow)}">'
        image = f"<picture>{source}{image}</picture>"
    caption = f"<figcaption>{inline(block.caption)}</figcaption>"
    return f'<figure><div class="{kind}">{image}</div>{caption}</figure>'


def _data(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


@_block.register
def _verdict(block: Verdict, level: int) -> str:
    sign = SIGNS.get(block.outcome, "")
    note = f'<p class="quiet">{inline(block.note)}</p>' if block.note else ""
    kind = f"{escape(block.outcome)}{' brief' if block.brief else ''}"
    return (
        f'<article class="verdict {kind}">'
        f'<p class="badge"><span aria-hidden="true">{sign}</span> '
        f"{escape(block.outcome.capitalize())}</p>"
        f'<div><p class="question">{inline(block.question)}</p>'
        f"<p>{inline(block.sentence)}</p>{note}</div></article>"
    )


@_block.register
def _section(block: Section, level: int) -> str:
    inside = "".join(_block(inner, min(level + 1, 6)) for inner in block.blocks)
    name = anchor(block.title)
    if not block.folded:
        return f'<section id="{name}"><h{level}>{inline(block.title)}</h{level}>{inside}</section>'
    hint = f' <span class="hint">{inline(block.hint)}</span>' if block.hint else ""
    # The anchor is inside, so that a link to it unfolds the section.
    return (
        f"<details><summary><h{level}>{inline(block.title)}</h{level}>{hint}</summary>"
        f'<div id="{name}">{inside}</div></details>'
    )
