"""Tables: what is marked, and that every format can be read by its reader."""

import re

import pytest

from analysis.records import load_records
from analysis.summary import summarise
from analysis.tables import (
    Table,
    benchmark_table,
    cost_table,
    difference_table,
    latex_escape,
    shown_metrics,
    to_latex,
    to_markdown,
    to_text,
)
from flow3r.files import read_json, write_json

METRICS = ["rra_15", "pointmap_mse"]


@pytest.fixture(scope="module")
def planted(store, tmp_path_factory):
    recorded = store(scenes=12, seeds=(0, 1, 2))
    records = load_records(recorded.write(tmp_path_factory.mktemp("tables")), "formulations")
    return records, summarise(records, 200)


def test_benchmark_table(planted):
    records, numbers = planted
    table = benchmark_table(records, numbers, "dynamic", METRICS)
    assert table.header == ("arm", "seeds", "RRA@15 (%) ↑", "pointmap MSE ↓")
    assert [row[0] for row in table.rows] == [*(arm.name for arm in records.plan.arms), "chance"]
    row = numbers.arms.query("arm == '3d-sup' and benchmark == 'dynamic' and metric == 'rra_15'")
    mean, half = row["mean"].iloc[0], (row["high"].iloc[0] - row["low"].iloc[0]) / 2
    assert table.rows[0][2] == f"{mean:.1f} ± {half:.1f}"
    assert table.rows[-1][1:3] == ("", "40.0")
    # best of the competing arms in both columns; the yardstick 3d-sup++ is better and not marked
    assert table.marked == {(3, 2), (3, 3)}


def test_difference_table_marks_what_excludes_zero(planted):
    records, numbers = planted
    table = difference_table(records, numbers, "dynamic", METRICS, "3d-sup")
    assert "3d-sup" not in [row[0] for row in table.rows]
    for i, row in enumerate(table.rows):
        for j, cell in enumerate(row[2:], start=2):
            low, high = re.search(r"\[([+−])[\d.]+, ([+−])", cell).groups()
            assert ((i, j) in table.marked) == (low == high)


def test_cost_table(planted):
    table = cost_table(planted[0])
    assert table.rows[3] == (
        "flow-factored", "3", "800", "16", "1024", "100", "110", "0.430", "900",
    )  # fmt: skip


def test_undefined_metrics_are_not_shown(planted):
    assert shown_metrics(planted[1], "dynamic", ["chamfer", "auc_30"]) == ["auc_30"]


def test_single_seed_and_incomplete_arms_are_marked(store, tmp_path, run_id):
    store(seeds=(0, 1), scenes=3).write(tmp_path)
    status = tmp_path / "runs" / run_id("formulations", "flow-factored", 1) / "status.json"
    write_json(status, {**read_json(status), "state": "failed"})
    records = load_records(tmp_path, "formulations")
    numbers = summarise(records, 100)
    table = benchmark_table(records, numbers, "static", METRICS)
    row = next(row for row in table.rows if row[0].startswith("flow-factored"))
    assert row[:2] == ("flow-factored (incomplete)", "1 of 2")
    assert "±" not in row[2]
    differences = difference_table(records, numbers, "static", METRICS, "3d-sup")
    row = next(row for row in differences.rows if row[0].startswith("flow-factored"))
    assert "[" not in row[2]


TABLE = Table("T", ("arm_1", "x (%) ↑"), (("a|b", "−1.0 ± 0.2"), ("3d*", "[+1, +2]")), {(1, 1)})


def test_markdown():
    lines = to_markdown(TABLE).splitlines()
    assert lines[0] == r"| arm\_1 | x (%) ↑ |"
    assert lines[1] == "| --- | ---: |"
    assert lines[2] == r"| a\|b | −1.0 ± 0.2 |"
    assert lines[3] == r"| 3d\* | **[+1, +2]** |"


def test_latex():
    text = to_latex(TABLE)
    assert r"arm\_1 & x (\%) $\uparrow$ \\" in text
    assert r"a|b & $-$1.0 $\pm$ 0.2 \\" in text
    assert r"\textbf{{[}+1, +2{]}}" in text
    assert text.isascii()
    for word in ("begin{tabular}{lr}", "toprule", "midrule", "bottomrule", "end{tabular}"):
        assert text.count(f"\\{word}") == 1
    assert text.count("{") == text.count("}")


def test_latex_escapes_every_special_character():
    assert latex_escape("a_b & 5% $#{}~^\\") == (
        r"a\_b \& 5\% \$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
    )


def test_text_is_aligned():
    lines = to_text(TABLE).splitlines()
    assert lines[0] == "T"
    assert len({len(line) for line in lines[1:]}) == 1
    assert lines[3].endswith("[+1, +2]*")
