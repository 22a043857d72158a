"""What the pages under docs say exists: scripts, links, settings."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from experiments.compose import CONFIGS, compose

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pages
def test_scripts_exist(page):
    for block in FENCE.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                assert words[0] == "python", line
                assert (ROOT / words[1]).is_file(), line


@pages
def test_links_lead_somewhere_and_no_machine_is_named(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("https://") or (page.parent / link).exists(), link
    assert not re.search(r"(?<![\w.])/(work|tmp|home|root)/", text)


@pytest.mark.parametrize(
    "setting",
    [
        "batch.pairs.per_clip=4",
        "runtime.workers=8",
        "runtime.store=store",
        "runtime.label_workers=2",
    ],
)
def test_settings_of_the_page_on_videos_compose(setting):
    page = (ROOT / "docs/videos.md").read_text(encoding="utf-8")
    assert setting.partition("=")[0] in page
    compose([setting])


def test_the_settings_of_prepare_are_those_that_the_page_names():
    page = (ROOT / "docs/videos.md").read_text(encoding="utf-8")
    from flow3r.data.video.config import IngestConfig

    named = {n for n in IngestConfig.__dataclass_fields__ if f"`{n}`" in page}
    assert {"frames", "gap_seconds", "spacing_seconds", "cut_ratio", "min_motion"} <= named
    mixture = yaml.safe_load((CONFIGS / "data/mixture.yaml").read_text(encoding="utf-8"))
    assert set(mixture["unlabelled_sources"]) == {"real", "generated"}
