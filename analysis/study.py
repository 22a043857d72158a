"""A sweep as a notebook looks at it: each method shows one thing, and nothing without records."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.chance import chance_sentence, chance_table
from analysis.display import show_figure, show_image, show_table, show_text
from analysis.document import Bullets, Section, TableBlock, Text
from analysis.gallery import Sketch, qualitative_pictures, sketches
from analysis.markup import Table
from analysis.ordering import order_table
from analysis.records import Records, load_records
from analysis.report import all_curves, report_tables
from analysis.scaling import ScalingCurve
from analysis.sections.controls import controls_section
from analysis.sections.front import banner, card, next_study
from analysis.sections.limits import limits_section
from analysis.sections.scaling import scaling_section
from analysis.sections.statistics import statistics_section
from analysis.summary import Summary, summarise
from analysis.verdict_words import verdict_table
from analysis.verdicts import Verdict, answer_questions
from flow3r.errors import DataError


def sweeps_in(output_dir: Path) -> list[str]:
    """The sweeps planned under a folder."""
    return sorted(path.parent.name for path in output_dir.glob("reports/*/plan.json"))


class Study:
    """The records of a sweep, finished or not; `records` is None where there are none yet."""

    def __init__(self, output_dir: Path, sweep: str) -> None:
        """Reads the records, or says what to run."""
        self.sweep = sweep
        self.records: Records | None = None
        try:
            self.records = load_records(output_dir, sweep)
        except DataError as error:
            show_text(
                f"**No records of `sweep={sweep}` yet** ({error}).\n\nMake them with\n\n"
                f"    python sweeps/run.py sweep={sweep}\n\nor point `FLOW3R_OUTPUT_DIR` to a "
                "folder that has them. `python analysis/example.py` unpacks recorded runs of some "
                "sweeps into `outputs/example`. The cells below stay empty until then."
            )

    @cached_property
    def summary(self) -> Summary:
        """Every score and paired difference."""
        return summarise(self._known)

    @cached_property
    def answers(self) -> tuple[Verdict, ...]:
        """The sweep's questions, answered."""
        return answer_questions(self._known)

    @cached_property
    def curves(self) -> list[ScalingCurve]:
        """The scaling curves; none for a sweep without an axis."""
        return all_curves(self._known, self.summary)

    @cached_property
    def _sketches(self) -> dict[str, Sketch]:
        found = sketches(self._known, self.summary, self.curves)
        return {sketch.name: sketch for sketch in found}

    @cached_property
    def _tables(self) -> dict[str, Table]:
        return {n: table for n, (table, _) in report_tables(self._known, self.summary).items()}

    @property
    def _known(self) -> Records:
        if self.records is None:
            raise DataError(f"no records of sweep {self.sweep!r}")
        return self.records

    def runs(self) -> pd.DataFrame | None:
        """How many runs of each arm are in which state."""
        if self.records is None:
            return None
        groups = self.records.runs.groupby(["arm", "state"], sort=False)
        return groups.size().rename("runs").to_frame()

    def verdicts(self) -> None:
        """The questions with their answers, in words and as a table."""
        if self.records is None:
            return
        if not self.records.complete:
            show_text(f"**{banner(self.records)}**")
        for answer in self.answers:
            said = card(answer)
            show_text(f"**{said.outcome.capitalize()}.** {said.question}\n\n{said.sentence}")
        show_table(verdict_table(self.answers))

    def caveats(self) -> None:
        """Chance, and what the next study needs."""
        if self.records is None:
            return
        lines = [chance_sentence(self.records, self.summary), next_study(self.answers)]
        show_text("\n".join(f"- {line}" for line in lines if line))

    def figure(self, *names: str) -> None:
        """Figures of the report by name; a name that the sweep does not have shows why."""
        for name in names if self.records is not None else ():
            sketch = self._sketches.get(name)
            figure = sketch.draw() if sketch is not None else None
            if figure is not None:
                show_figure(figure)
                show_text(f"*{sketch.caption}*")
            elif sketch is not None and sketch.absent:
                show_text(f"*{sketch.absent}*")

    def table(self, *names: str) -> None:
        """Tables of the report by file name; those that the sweep does not have are left out."""
        for name in names if self.records is not None else ():
            if name in self._tables:
                show_table(self._tables[name])

    def order(self) -> None:
        """The order of the formulations, pair by pair, and who is above chance."""
        if self.records is None:
            return
        for table in (order_table(self.records), chance_table(self.records, self.summary)):
            if table is not None:
                show_table(table)

    def scaling(self) -> None:
        """Gain, slope, fitted shapes, and what a label is worth."""
        if self.records is not None:
            _show_section(scaling_section(self.curves))

    def statistics(self) -> None:
        """Method, effect sizes, power."""
        if self.records is not None:
            _show_section(statistics_section(self.records, self.summary, self.answers))

    def controls(self) -> None:
        """What the records show to be equal in every arm."""
        if self.records is not None:
            _show_section(controls_section(self.records))

    def limits(self) -> None:
        """What is not claimed."""
        if self.records is not None:
            _show_section(limits_section(self.records))

    def pictures(self) -> None:
        """Scenes chosen by rule, as the headline's arms see them."""
        if self.records is None:
            return
        found = qualitative_pictures(self.records)
        for picture in found:
            show_image(picture.png)
            show_text(f"*{picture.caption}*")
        if not found:
            show_text(
                f"*No predictions of `{self.sweep}` have been drawn. The same sweep command again "
                "does it for finished runs that kept their predictions.*"
            )


def _show_section(section: Section | None) -> None:
    """The blocks that a notebook can show."""
    for block in section.blocks if section is not None else ():
        if isinstance(block, TableBlock):
            show_table(block.table)
        elif isinstance(block, Bullets):
            show_text("\n".join(f"- {item}" for item in block.items))
        elif isinstance(block, Text):
            show_text(block.text)
