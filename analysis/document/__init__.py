"""A report as plain blocks, and its two renderings: one self-contained HTML file, and Markdown."""

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
from analysis.document.files import Written, alone, write_document
from analysis.document.html import render_html
from analysis.document.markdown import render_markdown

__all__ = [
    "Block",
    "Bullets",
    "Document",
    "Picture",
    "Section",
    "TableBlock",
    "Text",
    "Verdict",
    "Written",
    "alone",
    "render_html",
    "render_markdown",
    "write_document",
]
