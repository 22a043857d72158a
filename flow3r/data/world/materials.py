"""Materials: a texture family with its colours, feature size and gloss, as one row of numbers."""

from __future__ import annotations

import numpy as np

from flow3r.data.world.domains import Domain
from flow3r.data.world.palettes import sample_colours
from flow3r.data.world.scene import Array

FAMILIES = (
    "marble",
    "brick",
    "plaid",
    "terrazzo",
    "wood",
    "tiles",
    "leaves",
    "canvas",
    "stripes",
    "quilt",
)

# Columns of a material row.
FAMILY, SCALE, GLOSS, VARIANT = 0, 1, 2, 3
OFFSET = slice(4, 7)
COLOURS = slice(7, 16)
COLUMNS = 16

# Feature size in metres by role. Large enough that the coarsest features span several pixels of a
# 48-pixel image of a room; finer octaves appear as the resolution grows.
_FEATURE = {
    "wall": (0.55, 1.0),
    "floor": (0.5, 0.9),
    "ceiling": (0.7, 1.2),
    "furniture": (0.28, 0.5),
    "picture": (0.22, 0.4),
    "object": (0.22, 0.42),
}


def sample_material(
    rng: np.random.Generator, domain: Domain, role: str, family: str | None = None
) -> Array:
    """One material row [COLUMNS] for a role (wall, floor, ceiling, furniture, picture, object)."""
    family = family or domain.families[rng.integers(len(domain.families))]
    row = np.zeros(COLUMNS)
    row[FAMILY] = FAMILIES.index(family)
    row[SCALE] = rng.uniform(*_FEATURE[role])
    row[GLOSS] = rng.uniform(0.0, 0.35) * (role != "ceiling")
    row[VARIANT] = rng.uniform()
    row[OFFSET] = rng.uniform(0.0, 32.0, size=3)
    colours = sample_colours(rng, domain.palettes)
    if role == "ceiling":
        colours = 0.45 * colours + 0.4
    elif role == "wall":
        colours = 0.8 * colours + 0.08
    row[COLOURS] = colours.reshape(-1)
    return row


def refined(rows: list[Array], pixels: int) -> list[Array]:
    """The same materials with features as small as images of `pixels` pixels can carry."""
    factor = float(np.clip((64.0 / pixels) ** 0.5, 0.5, 1.0))
    scaled = [row.copy() for row in rows]
    for row in scaled:
        row[SCALE] *= factor
    return scaled
