"""docs/datasets.md lists every dataset as its module describes it."""

from __future__ import annotations

from pathlib import Path

from flow3r.data.datasets.registry import MODULES, layouts

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"


def row(layout) -> str:
    cells = (layout.files, layout.depth, layout.poses, layout.splits, layout.motion)
    return (
        f"| `{layout.name}` | "
        + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells)
        + " |"
    )


def test_the_page_lists_what_the_registry_has():
    found = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    expected = [row(layout) for layout in layouts()]
    assert found == expected, "docs/datasets.md should hold:\n" + "\n".join(expected)


def test_every_module_describes_the_dataset_it_is_registered_as():
    assert [layout.name for layout in layouts()] == list(MODULES)
