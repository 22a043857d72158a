"""A document as Markdown: the same words as the HTML, with links to the figures' files."""

from __future__ import annotations

from functools import singledispatch
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
from analysis.markup import to_markdown


def render_markdown(document: Document, folder: Path) -> str:
    """The document as Markdown; addresses of images are relative to `folder`."""
    parts = [f"# {document.title}", document.subtitle]
    parts.append(f"**{document.banner}**" if document.banner else "")
    parts += [_block(block, folder, 2) for block in document.front]
    parts += [_section(section, folder, 2) for section in document.sections]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


@singledispatch
def _block(block: Block, folder: Path, level: int) -> str:
    raise TypeError(f"a document has no block of type {type(block).__name__}")


@_block.register
def _text(block: Text, folder: Path, level: int) -> str:
    return block.text


@_block.register
def _bullets(block: Bullets, folder: Path, level: int) -> str:
    return "\n".join(f"- {item}" for item in block.items)


@_block.register
def _table(block: TableBlock, folder: Path, level: int) -> str:
    head = f"{'#' * level} {block.table.title}\n\n" if block.titled else ""
    return f"{head}{to_markdown(block.table)}\n{block.table.note}"


@_block.register
def _picture(block: Picture, folder: Path, level: int) -> str:
    address = block.png.relative_to(folder).as_posix()
    return f"![{block.name}]({address})\n\n{block.caption}"


@_block.register
def _verdict(block: Verdict, folder: Path, level: int) -> str:
    head = f"**{block.outcome.capitalize()}.** {block.question}"
    return "\n\n".join(part for part in (head, block.sentence, block.note) if part)


@_block.register
def _section(block: Section, folder: Path, level: int) -> str:
    parts = [f"{'#' * level} {block.title}"]
    parts += [_block(inner, folder, level + 1) for inner in block.blocks]
    return "\n\n".join(part.strip("\n") for part in parts if part)
