"""Rewrite the results in a README from the records of the sweeps.

usage: python analysis/readme.py [output_dir=outputs[,OTHER...]] [readme=README.md]
                                 [figures=docs/figures]

Between `<!-- results:begin -->` and `<!-- results:end -->` every sweep has a part of its own, from
`<!-- results:SWEEP -->` to `<!-- /results:SWEEP -->`. Those of the sweeps that are finished under
output_dir are written anew: the answers, where they come from, and for the two studies also the
table of differences and the figure, which is written as FIGURES/<sweep>.png. The parts of other
sweeps stay as they are, and so does the rest of the README. A sweep that several folders hold is
taken from the first of them.
"""

from __future__ import annotations

import os
import re
import sys

if __name__ == "__main__":
    # Python puts this file's folder first, where statistics.py would hide the standard module.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if {"-h", "--help"} & set(sys.argv[1:]):  # answered before the imports that take seconds
        print(__doc__.strip())
        sys.exit(0)

from collections.abc import Iterable, Sequence
from pathlib import Path

from analysis import tables
from analysis.answer import starting_point
from analysis.arguments import parse_arguments
from analysis.chance import chance_sentence
from analysis.gallery import FOREST, sketches
from analysis.markup import Table, to_markdown
from analysis.metrics import heading
from analysis.plan import INITIALISATION
from analysis.records import Records, load_records, run_directory
from analysis.report import all_curves
from analysis.scaling import ScalingCurve
from analysis.sections.front import brief, next_study, worth_sentence
from analysis.style import png_bytes
from analysis.summary import CHANCE, Summary, excludes_zero, summarise
from analysis.tables import difference_cell, score_cell
from analysis.verdict_words import sentence
from analysis.verdicts import Verdict, answer_questions
from flow3r.errors import ConfigError, DataError
from flow3r.files import read_json, write_atomically, write_text

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
_PART = re.compile(
    r"<!-- results:(?P<sweep>[^ ]+) -->\n(?P<part>.*?)\n<!-- /results:(?P=sweep) -->", re.DOTALL
)
STUDIES = ("formulations", "scaling")
SHIPPED = ("formulations", "scaling", "backbones", "teachers")  # in this order, then the others
SETTINGS = {"output_dir": "outputs", "readme": "README.md", "figures": "docs/figures"}


def rewrite(readme: Path, folders: Sequence[Path], figures: Path) -> list[str]:
    """Replace the parts of the finished sweeps and write their figures; returns these sweeps.

    DataError where the README has no block of results, or no sweep is finished.
    """
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    block, end, after = rest.partition(END)
    if not begin or not end:
        raise DataError(f"{readme}: {BEGIN} ... {END} is missing")
    made = {}
    for sweep, output_dir in sweeps_of(folders).items():
        records = load_records(output_dir, sweep)
        if records.complete:
            made[sweep] = _part(records, figures, readme.parent)
        else:
            print(f"{sweep}: unfinished, left as it is", file=sys.stderr)
    if not made:
        raise DataError(f"no sweep under {', '.join(map(str, folders))} is finished")
    parts = {found["sweep"]: found["part"] for found in _PART.finditer(block)} | made
    marked = "\n\n".join(_marked(sweep, parts[sweep]) for sweep in in_order(parts))
    write_text(readme, f"{before}{BEGIN}\n{marked}\n{END}{after}")
    return list(made)


def _part(records: Records, figures: Path, root: Path) -> str:
    """What a README says about a sweep: a study in full, of the other shipped ones the answers."""
    short = records.plan.sweep in SHIPPED and records.plan.sweep not in STUDIES
    said = answers(records) if short else section(records, figures, root)
    return f"{said}\n\n{origin(records)}"


def _marked(sweep: str, part: str) -> str:
    return f"<!-- results:{sweep} -->\n{part}\n<!-- /results:{sweep} -->"


def sweeps_of(folders: Sequence[Path]) -> dict[str, Path]:
    """The planned sweeps and the folder of each, the shipped ones first."""
    found = {
        path.parent.name: folder
        for folder in reversed(folders)
        for path in folder.glob("reports/*/plan.json")
    }
    return {name: found[name] for name in in_order(found)}


def in_order(sweeps: Iterable[str]) -> list[str]:
    """The shipped sweeps first, as a reader wants them."""
    found = set(sweeps)
    return [name for name in SHIPPED if name in found] + sorted(found - set(SHIPPED))


def answers(records: Records) -> str:
    """A sweep's question and its answers as Markdown."""
    first, *others = answer_questions(records)
    parts = [
        f"`sweep={records.plan.sweep}`: {records.plan.question}",
        f"**{first.question.question} {sentence(first)}**",
        "\n".join(f"- {_short(answer)}" for answer in others),
    ]
    return "\n\n".join(part for part in parts if part)


def section(records: Records, figures: Path, root: Path) -> str:
    """A sweep's answers, figure and table as Markdown."""
    summary = summarise(records)
    curves = all_curves(records, summary)
    image = figures / f"{records.plan.sweep}.png"
    caption = _write_figure(records, summary, curves, image)
    address = image.resolve().relative_to(root.resolve()).as_posix()
    notes = [chance_sentence(records, summary), starting_point(records, summary)]
    notes += [worth_sentence(records, curves), next_study(answer_questions(records))]
    parts = [
        answers(records),
        f"![The main figure of the sweep {records.plan.sweep}]({address})",
        f"*{caption}*",
        to_markdown(headline_table(records, summary)).strip(),
        "\n".join(f"- {note}" for note in notes if note),
    ]
    return "\n\n".join(parts)


def headline_table(records: Records, summary: Summary) -> Table:
    """Scores of the baselines, paired differences of the other arms, on the headline's scenes."""
    benchmark = records.plan.headline.benchmark
    metrics = tables.shown_metrics(summary, benchmark, FOREST)
    rows, marked = [], set()
    for arm in [*tables.trained_then_initial(records), CHANCE]:
        other = arm if arm == CHANCE else records.plan.baseline_of(arm)
        scored = other == arm or arm == INITIALISATION  # one model: its difference says little
        cells = []
        for name in metrics:
            if scored:
                cells.append(score_cell(name, summary.score(arm, benchmark, name)))
                continue
            row = summary.difference(arm, other, benchmark, name)
            if row is not None and excludes_zero(row):
                marked.add((len(rows), len(cells) + 1))
            cells.append(difference_cell(name, row))
        rows.append((arm if scored else f"{arm} − {other}", *cells))
    header = (f"{benchmark} scenes", *(heading(name) for name in metrics))
    return Table("", header, tuple(rows), frozenset(marked))


def _short(answer: Verdict) -> str:
    said = brief(answer)
    return f"{said.question} **{said.outcome.capitalize()}.** {said.sentence}."


def _write_figure(
    records: Records, summary: Summary, curves: list[ScalingCurve], path: Path
) -> str:
    """The sweep's most telling figure; returns its caption."""
    wanted = "headline" if curves else "differences"
    known = {sketch.name: sketch for sketch in sketches(records, summary, curves)}
    figure = known[wanted].draw() if wanted in known else None
    if figure is None:
        raise DataError(f"sweep {records.plan.sweep!r} has no figure {wanted!r}")
    data = png_bytes(figure)
    write_atomically(path, lambda temporary: temporary.write_bytes(data))
    return known[wanted].caption


def origin(records: Records) -> str:
    """Where the numbers come from, in one line."""
    runs = records.runs.drop_duplicates("run_id")
    ends = [
        read_json(run_directory(records.output_dir, run) / "status.json").get("finished")
        for run in runs["run_id"]
    ]
    last = max((str(end)[:10] for end in ends if end), default=None)
    commits = sorted({str(commit)[:7] for commit in runs["git_commit"].dropna()})
    facts = (
        *([f"last run {last}"] if last else []),
        *(f"commit `{commit}`" for commit in commits),
        *sorted(set(runs["device"].dropna())),
        f"{len(runs)} runs, which took {runs['seconds'].sum() / 60:.0f} min together",
    )
    return f"From `python sweeps/run.py sweep={records.plan.sweep}`: {'; '.join(facts)}."


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status."""
    try:
        settings = parse_arguments(arguments, SETTINGS, "readme.py")
        folders = [Path(name) for name in settings["output_dir"].split(",")]
        used = rewrite(Path(settings["readme"]), folders, Path(settings["figures"]))
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{settings['readme']}: {', '.join(used)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
