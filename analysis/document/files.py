"""A document as the two files of a report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from analysis.document.blocks import Document
from analysis.document.html import render_html
from analysis.document.markdown import render_markdown
from flow3r.files import write_text
from flow3r.locks import locked


@dataclass(frozen=True)
class Written:
    """A report that has been written, and the text that the console shows of it."""

    text: str
    path: Path


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a report's folder: two sweeps that end together must not clear each other's figures.

    Where there is none yet, nothing is made: the records may be missing, too.
    """
    with locked(folder / ".report.lock") if folder.is_dir() else nullcontext():
        yield


def write_document(page: Document, folder: Path) -> Path:
    """Write `report.md` and `report.html`; returns the latter's path."""
    path = folder / "report.html"
    write_text(folder / "report.md", render_markdown(page, folder))
    write_text(path, render_html(page))
    return path
