"""Scores, paired differences, the paper's order, the level of chance: the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.chance import chance_table
from analysis.document import Section, TableBlock, Text
from analysis.markup import Table
from analysis.ordering import order_sentence, order_table
from analysis.records import Records
from analysis.summary import Summary
from analysis.verdict_words import verdict_table
from analysis.verdicts import Verdict


def questions_section(answers: Sequence[Verdict]) -> Section:
    """Every question with its numbers."""
    return Section(
        "All questions and answers",
        (TableBlock(verdict_table(answers), titled=False),),
        hint=f"{len(answers)} stated by the sweep",
    )


def results_section(records: Records, summary: Summary, tables: Mapping[str, Table]) -> Section:
    """The tables that were written, in their order, and which arms beat a constant."""
    shown = [TableBlock(table) for name, table in tables.items() if name != "cost"]
    chance = chance_table(records, summary)
    return Section(
        "Scores and differences",
        (*shown, *((TableBlock(chance),) if chance is not None else ())),
        hint="every benchmark and metric, with intervals",
    )


def order_section(records: Records, summary: Summary) -> Section | None:
    """The paper's order of the formulations; None where the sweep does not compare them."""
    table, sentence = order_table(records), order_sentence(records, summary)
    if table is None:
        return None
    text = (Text(sentence),) if sentence else ()
    return Section("The paper's order, pair by pair", (*text, TableBlock(table, titled=False)))


def cost_section(table: Table) -> Section:
    """What it cost."""
    return Section("Cost", (TableBlock(table, titled=False),))
