"""Blocks as HTML and as Markdown: escaped, self-contained, nothing lost."""

import re
from html.parser import HTMLParser

import pytest

from analysis.document import (
    Bullets,
    Document,
    Picture,
    Section,
    TableBlock,
    Text,
    Verdict,
    render_html,
    render_markdown,
)
from analysis.document.html import anchor, inline
from analysis.markup import Table

VOID = {"meta", "img", "source", "br"}
TABLE = Table(
    "A & B",
    ("arm", "score <%>"),
    (("Static scenes", ""), ("3d-sup", "1.0 ± 0.5"), ("flow", "2.0")),
    frozenset({(2, 1)}),
    "A *note*.",
    frozenset({0}),
)


class Checker(HTMLParser):
    """Tags must nest; collects what is referred to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.references, self.ids = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.references += [values[k] for k in ("src", "href", "srcset") if k in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def document(tmp_path):
    for name in ("wide", "narrow"):
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG" + name.encode())
    picture = Picture("p", "Seen **twice**.", tmp_path / "wide.png", tmp_path / "narrow.png")
    return Document(
        "Report: <x>",
        "sub",
        "Unfinished: 1 of 2 runs.",
        (
            Verdict("Does it help?", "holds", "It does: +1 [0.5, 1.5].", "Asked for: better."),
            Verdict("And now?", "undecided", "Open.", brief=True),
            picture,
            Bullets(("one `code`", "two & three")),
        ),
        (
            Section("More & more", (TableBlock(TABLE), Text("small", quiet=True)), hint="h"),
            Section("Open", (Picture("q", "alone", tmp_path / "wide.png"),), folded=False),
        ),
    )


def test_html_is_well_formed_and_self_contained(document):
    text = render_html(document)
    page = Checker(text)
    for reference in page.references:
        assert reference.startswith(("data:image/png;base64,", "#"))
    assert "<script" not in text
    assert "http" not in text
    assert {r[1:] for r in page.references if r.startswith("#")} == set(page.ids)
    assert 'name="viewport"' in text


def test_html_says_everything(document):
    text = render_html(document)
    for part in (
        "<h1>Report: &lt;x&gt;</h1>",
        '<p class="banner" role="alert">Unfinished: 1 of 2 runs.</p>',
        '<article class="verdict holds">',
        '<article class="verdict undecided brief">',
        "Asked for: better.",
        "one <code>code</code>",
        "two &amp; three",
        '<th scope="col">score &lt;%&gt;</th>',
        "<td><strong>2.0</strong></td>",
        '<tr class="heading"><th colspan="2">Static scenes</th></tr>',
        '<source media="(max-width: 640px)"',
        'alt="Seen twice."',
        "Seen <strong>twice</strong>.",
        '<summary><h2>More &amp; more</h2> <span class="hint">h</span></summary>',
        '<section id="open">',
    ):
        assert part in text, part


def test_markdown_says_the_same(document, tmp_path):
    text = render_markdown(document, tmp_path)
    lines = text.splitlines()
    assert lines[0] == "# Report: <x>"
    for part in (
        "**Unfinished: 1 of 2 runs.**",
        "**Holds.** Does it help?",
        "It does: +1 [0.5, 1.5].",
        "![p](wide.png)",
        "## More & more",
        "### A & B",
        "| flow | **2.0** |",
        "- two & three",
    ):
        assert part in lines, part


def test_inline_marks():
    assert inline("a < b") == "a &lt; b"
    assert inline("**x `y`**") == "<strong>x <code>y</code></strong>"
    assert inline("[t](u?a=1&b=2)") == '<a href="u?a=1&amp;b=2">t</a>'
    assert inline("+3.6 [1.0, 6.3] (95 %)") == "+3.6 [1.0, 6.3] (95 %)"
    assert re.fullmatch(r"[a-z0-9-]+", anchor("What was compared, and is it fair?"))
