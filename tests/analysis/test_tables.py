"""Tables: what is marked, and that every format can be read by its reader."""

import re
import shutil
import subprocess

import pytest

from analysis.ranking import rank_arms
from analysis.records import load_records
from analysis.summary import summarise
from analysis.tables import (
    Table,
    benchmark_table,
    cost_table,
    difference_table,
    family_data,
    family_table,
    latex_escape,
    shown_metrics,
    to_latex,
    to_markdown,
    to_text,
)
from analysis.verdict_words import verdict_table
from analysis.verdicts import answer_questions
from flow3r.files import read_json, write_json

METRICS = ["rra_15", "pointmap_mse"]


@pytest.fixture(scope="module")
def planted(store, tmp_path_factory):
    recorded = store(scenes=12, seeds=(0, 1, 2))
    records = load_records(recorded.write(tmp_path_factory.mktemp("tables")), "formulations")
    return records, summarise(records)


def test_benchmark_table(planted):
    records, numbers = planted
    table = benchmark_table(records, numbers, "dynamic", METRICS)
    assert table.header == ("arm", "seeds", "RRA@15 (%) ↑", "pointmap MSE ↓")
    assert [row[0] for row in table.rows] == [*(arm.name for arm in records.plan.arms), "chance"]
    row = numbers.arms.query("arm == '3d-sup' and benchmark == 'dynamic' and metric == 'rra_15'")
    mean, half = row["mean"].iloc[0], (row["high"].iloc[0] - row["low"].iloc[0]) / 2
    assert table.rows[0][2].startswith(f"{mean:.1f} ± {half:.1f}")
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


def test_best_and_tied_arms(store, tmp_path):
    """Tracking a hair below factored, projective far below; yardsticks do not compete."""
    effects = {"flow-factored": 3.0, "flow-tracking": 2.9, "flow-projective": -6.0, "3d-sup++": 9.0}
    recorded = store(scenes=24, seeds=(0, 1, 2), effects=effects)
    records = load_records(recorded.write(tmp_path), "formulations")
    numbers = summarise(records)
    ranking = rank_arms(records, numbers, "dynamic", "rra_15")
    assert ranking.best in ("flow-factored", "flow-tracking")
    assert {ranking.best, *ranking.tied} >= {"flow-factored", "flow-tracking"}
    assert not ranking.tied & {"flow-projective", "3d-sup++", ranking.best}
    table = benchmark_table(records, numbers, "dynamic", ["rra_15"])
    cells = {row[0]: row[2] for row in table.rows}
    assert {arm for arm, cell in cells.items() if cell.endswith(" †")} == ranking.tied
    (best,) = table.marked
    assert table.rows[best[0]][0] == ranking.best


def test_one_seed_ties_nothing(store, tmp_path):
    records = load_records(store(scenes=4, seeds=(0,)).write(tmp_path), "formulations")
    ranking = rank_arms(records, summarise(records), "dynamic", "rra_15")
    assert ranking.best is not None
    assert ranking.tied == frozenset()


def test_family_table_has_a_half_per_benchmark(planted):
    records, numbers = planted
    table = family_table(records, numbers, "pose")
    assert table.header == ("arm", "seeds", "RRA@15 (%) ↑", "RRA@30 (%) ↑", "RTA@30 (%) ↑",
                            "AUC@30 (%) ↑")  # fmt: skip
    assert [table.rows[i][0] for i in sorted(table.headings)] == ["Static scenes", "Dynamic scenes"]
    half = benchmark_table(records, numbers, "static", ["rra_15", "rra_30", "rta_30", "auc_30"])
    assert table.rows[1 : 1 + len(half.rows)] == half.rows
    assert {(i, j) for i, j in table.marked if i <= len(half.rows)} == {
        (i + 1, j) for i, j in half.marked
    }
    assert set(family_data(numbers, "pose")["metric"]) == {"rra_15", "rra_30", "rta_30", "auc_30"}
    assert family_table(records, numbers, "flow") is None


def test_cost_table(planted):
    table = cost_table(planted[0])
    row = dict(zip(table.header, table.rows[3]))
    assert row["arm"] == "flow-factored"
    assert (row["runs"], row["steps"], row["training (s)"], row["total (s)"]) == (
        "3", "800", "100", "110",
    )  # fmt: skip
    assert (row["parameters (M)"], row["peak memory (MiB)"]) == ("0.430", "900")
    assert (row["labelled clips"], row["unlabelled clips"]) == ("16", "1024")
    # of 700 joint steps of 6 + 3 + 15 clips; the head's 100 steps are not counted
    assert (row["clips seen"], row["of them unlabelled"]) == ("16800", "10500")
    assert row["epochs over labels"] == f"{700 * 3 / 16:.1f}"
    row = dict(zip(table.header, table.rows[0]))  # 3d-sup: 12 of the 15 places are source clips
    assert (row["of them unlabelled"], row["epochs over labels"]) == ("0", f"{700 * 6 / 16:.1f}")
    assert "energy (kJ)" not in table.header
    assert "left out: floating-point operations and energy" in table.note


def test_energy_is_shown_where_it_was_recorded(store, tmp_path, run_id):
    store(scenes=2, seeds=(0, 1)).write(tmp_path)
    path = tmp_path / "runs" / run_id("formulations", "3d-sup", 0) / "provenance.json"
    write_json(path, {**read_json(path), "energy_joules": 12_500.0})
    table = cost_table(load_records(tmp_path, "formulations"))
    assert dict(zip(table.header, table.rows[0]))["energy (kJ)"] == "12.5"
    assert dict(zip(table.header, table.rows[1]))["energy (kJ)"] == "–"
    assert table.note.endswith("left out: floating-point operations.")


def test_undefined_metrics_are_not_shown(planted):
    assert shown_metrics(planted[1], "dynamic", ["chamfer", "auc_30"]) == ["auc_30"]


def test_single_seed_and_incomplete_arms_are_marked(store, tmp_path, run_id):
    store(seeds=(0, 1), scenes=3).write(tmp_path)
    status = tmp_path / "runs" / run_id("formulations", "flow-factored", 1) / "status.json"
    write_json(status, {**read_json(status), "state": "failed"})
    records = load_records(tmp_path, "formulations")
    numbers = summarise(records)
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
    assert r"a\textbar{}b & $-$1.0 $\pm$ 0.2 \\" in text
    assert r"\textbf{{[}+1, +2{]}}" in text
    assert text.isascii()
    for word in ("begin{tabular}{lr}", "toprule", "midrule", "bottomrule", "end{tabular}"):
        assert text.count(f"\\{word}") == 1
    assert text.count("{") == text.count("}")


def test_latex_escapes_every_special_character():
    assert latex_escape("a_b & 5% $#{}~^\\") == (
        r"a\_b \& 5\% \$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
    )


COMMANDS = {
    "begin", "end", "toprule", "midrule", "bottomrule", "multicolumn", "emph", "textbf", "pm",
    "uparrow", "downarrow", "dagger", "times", "approx", "textbar", "linewidth",
}  # fmt: skip


def check_latex(text):
    """What TeX would stumble over: encoding, braces, mathematics, commands, columns."""
    assert text.isascii()
    plain = re.sub(r"\\[&%$#_{}]", "", text)  # escaped characters are text
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert not re.search(r"[#%~^]|(?<!\$)\^", plain.replace("$^{", ""))
    assert set(re.findall(r"\\([a-zA-Z]+)", plain)) <= COMMANDS
    head, *lines, end = text.splitlines()
    types = re.fullmatch(r"\\begin\{tabular\}\{((?:[lr]|p\{[\d.]+\\linewidth\})+)\}", head).group(1)
    columns = len(re.findall(r"[lr](?!inewidth)|p\{[^}]*\}", re.sub(r"\\linewidth", "", types)))
    assert end == r"\end{tabular}"
    rules = [line for line in lines if not line.endswith(r" \\")]
    assert set(rules) == {r"\toprule", r"\midrule", r"\bottomrule"}
    for line in (line for line in lines if line.endswith(r" \\")):
        if line.startswith(r"\multicolumn"):
            assert line.startswith(rf"\multicolumn{{{columns}}}{{l}}{{\emph{{")
        else:
            assert len(re.findall(r"(?<!\\)&", line)) == columns - 1
    return columns


@pytest.fixture(scope="module")
def every_table(planted):
    records, numbers = planted
    made = [benchmark_table(records, numbers, "static", METRICS),
            difference_table(records, numbers, "dynamic", METRICS),
            family_table(records, numbers, "pose"), family_table(records, numbers, "pointmap"),
            cost_table(records), verdict_table(answer_questions(records))]  # fmt: skip
    return [*made, TABLE]


def test_latex_of_every_table_is_well_formed(every_table):
    for table in every_table:
        assert check_latex(to_latex(table)) == len(table.header), table.title


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.slow
def test_latex_of_every_table_compiles(every_table, tmp_path):
    body = "\n\n".join(to_latex(table) for table in every_table)
    preamble = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
    (tmp_path / "all.tex").write_text(f"{preamble}{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "all.pdf").read_bytes().startswith(b"%PDF")


def test_text_is_aligned():
    lines = to_text(TABLE).splitlines()
    assert lines[0] == "T"
    assert len({len(line) for line in lines[1:]}) == 1
    assert lines[3].endswith("[+1, +2]*")
