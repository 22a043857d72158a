"""Which textures, palettes and shapes make up which domain: the one table.

The source domains (pretraining) share no texture family, palette, object shape or furniture with
the target domains (the study). `target-test` is the world of `target` with every palette
replaced, two texture families and one shape added: no texture (family and palette) of a test scene
occurs in training, and each test scene holds the withheld shape and a withheld family.
Rooms (a box seen from inside) and the boxes furniture is built from occur everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Domain:
    """The vocabulary of one domain: names of texture families, palettes, shapes and furniture."""

    families: tuple[str, ...]
    palettes: tuple[str, ...]
    shapes: tuple[str, ...]
    furniture: tuple[str, ...]
    required_families: tuple[str, ...] = ()
    """One of them is worn by at least one large surface of every scene."""
    required_shape: str | None = None
    """Present in every scene as an object (as a moving one in dynamic scenes)."""


_SOURCE_PALETTES_A = ("limestone", "terracotta", "slate", "ochre")
_SOURCE_PALETTES_B = ("linen", "forest", "denim", "plum")
_TARGET_PALETTES = ("oak", "olive", "sand", "petrol", "rust", "cream", "walnut")
_TEST_PALETTES = ("ash", "moss", "clay", "harbour", "wine", "straw", "umber")

DOMAINS: dict[str, Domain] = {
    "source-a": Domain(
        families=("marble", "brick"),
        palettes=_SOURCE_PALETTES_A,
        shapes=("block", "drum", "arch", "steps"),
        furniture=("table", "shelf", "crates", "stool"),
    ),
    "source-b": Domain(
        families=("plaid", "terrazzo"),
        palettes=_SOURCE_PALETTES_B,
        shapes=("block", "drum", "arch", "steps"),
        furniture=("table", "shelf", "crates", "stool"),
    ),
    "source": Domain(
        families=("marble", "brick", "plaid", "terrazzo"),
        palettes=_SOURCE_PALETTES_A + _SOURCE_PALETTES_B,
        shapes=("block", "drum", "arch", "steps"),
        furniture=("table", "shelf", "crates", "stool"),
    ),
    "target": Domain(
        families=("wood", "tiles", "leaves", "canvas"),
        palettes=_TARGET_PALETTES,
        shapes=("egg", "cone", "ring", "cross"),
        furniture=("sofa", "cabinet", "lamp", "bench"),
    ),
    "target-test": Domain(
        families=("wood", "tiles", "leaves", "canvas", "stripes", "quilt"),
        palettes=_TEST_PALETTES,
        shapes=("egg", "cone", "ring", "cross", "bowl"),
        furniture=("sofa", "cabinet", "lamp", "bench"),
        required_families=("stripes", "quilt"),
        required_shape="bowl",
    ),
}
