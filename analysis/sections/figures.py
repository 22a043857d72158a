"""Every figure that is not on the front page, and which could not be drawn."""

from __future__ import annotations

from analysis.document import Block, Section, Text
from analysis.gallery import Gallery

FRONT = "headline"  # stands on the front page


def figures_section(gallery: Gallery) -> Section:
    """All figures with their captions."""
    blocks: list[Block] = [p for name, p in gallery.pictures.items() if name != FRONT]
    blocks += [Text(sentence, quiet=True) for sentence in gallery.left_out]
    blocks.append(
        Text(
            "As files: `figures/*.png` and `.pdf`, each for a page and, with `-column`, for one "
            "column.",
            quiet=True,
        )
    )
    return Section("Figures", tuple(blocks))
