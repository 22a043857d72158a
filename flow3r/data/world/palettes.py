"""Muted colour triples (base, second, accent) in sRGB, grouped by name."""

from __future__ import annotations

import numpy as np

_HEX: dict[str, tuple[str, ...]] = {
    # source
    "limestone": ("d8d2c4 a89f8e 6f675b", "c9c4ba 8e8a80 5a5650"),
    "terracotta": ("b5674b 8c4a35 d9cbb8", "a8573f c98a6b e0d5c4"),
    "slate": ("7d8790 4f5963 b9c0c4", "5c6670 98a2a8 343c44"),
    "ochre": ("c79a4b 8f6a2d e6d5ae", "d4ad68 a57a3a 6b4c22"),
    "linen": ("d9cfbd b09f86 7c8a8f", "cfc5b4 8d7f6c a5553f"),
    "forest": ("56704f 32492f b9b48a", "7a8d62 3e5638 d2c9a0"),
    "denim": ("52698a 2f4160 c2c9cf", "6c83a0 38506f d9cdb5"),
    "plum": ("7e5468 523447 cdb7b5", "96707d 5f3c4f d8c8a8"),
    # target
    "oak": ("b98d5a 84592f d8bd90", "a67c4c 704a27 c9a878"),
    "walnut": ("7a563b 4c3222 a98661", "8a6548 553927 c0a17c"),
    "olive": ("8a8a52 5a5d33 cfc79a", "9b9763 66653c 3f4a33"),
    "sand": ("d6c29c a98f66 7f6a4c", "cdb58c 9a7d56 e8dcc2"),
    "petrol": ("3f6a70 24464d a9bdb7", "5a8487 2f5560 d3cdb4"),
    "rust": ("a4553a 6f3526 d9b08c", "b86b4a 7d4130 e3c7a2"),
    "cream": ("e2d8c0 b4a283 8b6f56", "dccfb6 a8977c 6e7f78"),
    # target-test
    "ash": ("b3a894 7d7262 d9d0bd", "a0957f 6a5f4f c9bfa9"),
    "moss": ("6f7f4a 44522e b7b882", "84905c 525f37 d3cfa6"),
    "clay": ("b87a5e 7f4c3a dcc0a6", "a96a52 6d4031 e2d0b8"),
    "harbour": ("4f7288 2c485c b6c4c8", "6b8ea0 395a70 dad2bb"),
    "wine": ("7c3f46 50262d c8a294", "91555a 60343a d9c1a6"),
    "straw": ("d3b873 a1853f eadfb8", "c8aa62 8f7336 6f5e3a"),
    "umber": ("6b5440 42321f a88e70", "7d6650 4f3d2a c4ad8c"),
}


def _triple(text: str) -> np.ndarray:
    return np.array([[int(word[i : i + 2], 16) / 255 for i in (0, 2, 4)] for word in text.split()])


PALETTES: dict[str, tuple[np.ndarray, ...]] = {
    name: tuple(_triple(text) for text in triples) for name, triples in _HEX.items()
}
"""name -> arrays [3 colours, 3 channels], sRGB in [0, 1]."""


def sample_colours(rng: np.random.Generator, palettes: tuple[str, ...]) -> np.ndarray:
    """Three colours [3, 3] in linear light (display values squared): one palette's, varied."""
    triples = PALETTES[palettes[rng.integers(len(palettes))]]
    colours = triples[rng.integers(len(triples))]
    brightness = rng.uniform(0.85, 1.12)
    tint = rng.normal(0.0, 0.02, size=(3, 3))
    muted = colours + 0.28 * (colours.mean(axis=1, keepdims=True) - colours)
    return np.clip(muted * brightness + tint, 0.04, 0.95) ** 2
