"""What a notebook shows: our tables as rendered Markdown, our figures as images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from analysis.markup import Table, to_markdown
from analysis.style import png_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show_text(text: str) -> None:
    """Render Markdown."""
    from IPython.display import Markdown, display

    display(Markdown(text))


def show_table(table: Table) -> None:
    """Render a table with its title and note."""
    show_text(f"**{table.title}**\n\n{to_markdown(table)}\n{table.note}")


def show_figure(figure: Figure) -> None:
    """Show a figure once, whatever the notebook's matplotlib backend is."""
    from IPython.display import Image, display

    display(Image(png_bytes(figure)))


def show_image(path: Path) -> None:
    """Show a picture from a file."""
    from IPython.display import Image, display

    display(Image(filename=str(path)))
