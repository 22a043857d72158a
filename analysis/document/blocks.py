"""What a report is made of. Texts may hold **bold**, `code` and [links](address); nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from analysis.markup import Table


@dataclass(frozen=True)
class Text:
    """A paragraph; `quiet`: small print."""

    text: str
    quiet: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class TableBlock:
    """A table with its title and note."""

    table: Table
    titled: bool = True


@dataclass(frozen=True)
class Picture:
    """An image file with its caption.

    narrow: the same drawn for a column or a phone; None for one that is scrolled there.
    """

    name: str
    caption: str
    png: Path
    narrow: Path | None = None


@dataclass(frozen=True)
class Verdict:
    """A question, its outcome in one word (holds, fails, undecided, unfinished), the sentence in
    plain words and small print. brief: one of several, in few lines."""

    question: str
    outcome: str
    sentence: str
    note: str = ""
    brief: bool = False


@dataclass(frozen=True)
class Section:
    """Blocks under a heading; `folded`: shown on request in HTML, as any other in Markdown."""

    title: str
    blocks: tuple[Block, ...]
    folded: bool = True
    hint: str = ""


@dataclass(frozen=True)
class Document:
    """front: what is read in two minutes; sections: what stands behind it."""

    title: str
    subtitle: str
    banner: str
    front: tuple[Block, ...]
    sections: tuple[Section, ...]


Block = Text | Bullets | TableBlock | Picture | Verdict | Section
