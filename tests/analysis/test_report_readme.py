"""The block of results in a README: rewritten from the records, and nothing else."""

import re

import pytest

from analysis.readme import BEGIN, END, main, rewrite, sweeps_of
from flow3r.errors import DataError

BEFORE, AFTER = f"# Title\n\ntext\n\n{BEGIN}", f"{END}\n\nmore\n"


@pytest.fixture(scope="module")
def written(store, scaling, tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    store(seeds=(0, 1, 2), scenes=6).write(folder / "outputs")
    scaling(seeds=(0, 1, 2), scenes=6).write(folder / "outputs")
    readme = folder / "README.md"
    readme.write_text(f"{BEFORE}\nlast year's numbers\n{AFTER}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.report.CURVES", ("rra_15",))
        used = rewrite(readme, [folder / "outputs"], folder / "docs")
    return folder, readme.read_text(), used


def test_only_the_block_changes(written):
    _, text, used = written
    assert used == ["formulations", "scaling"]
    assert text.startswith(BEFORE)
    assert text.endswith(AFTER)
    assert "last year" not in text


def test_the_block_has_answers_tables_figures_and_origin(written):
    folder, text, _ = written
    for phrase in (
        "**Is flow-factored better than 3d-sup on the dynamic scenes, by RRA@15? ",
        "| dynamic scenes | RRA@15 (%) ↑ | RTA@30 (%) ↑ | AUC@30 (%) ↑ | pointmap MSE ↓ |",
        "| flow-factored − 3d-sup | ",
        "- Above chance (the best constant prediction) by the interval:",
        "From `python sweeps/run.py sweep=scaling`: commit `abc1234`; cpu; 24 runs, which took",
    ):
        assert phrase in text, phrase
    images = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert images == ["docs/formulations.png", "docs/scaling.png"]
    for image in images:
        assert (folder / image).read_bytes().startswith(b"\x89PNG")


def test_the_part_of_a_sweep_that_is_not_at_hand_stays(written, store, tmp_path):
    _, text, _ = written
    readme = tmp_path / "README.md"
    readme.write_text(text)
    store(seeds=(0, 1), scenes=4).write(tmp_path / "outputs")
    assert rewrite(readme, [tmp_path / "outputs"], tmp_path / "docs") == ["formulations"]
    again = readme.read_text()

    def part(of, sweep):
        return of.split(f"<!-- results:{sweep} -->")[1].split(f"<!-- /results:{sweep} -->")[0]

    assert part(again, "scaling") == part(text, "scaling")
    assert "2 seeds" in part(again, "formulations")
    assert "3 seeds" not in part(again, "formulations")


def test_an_unfinished_sweep_is_left_out(store, tmp_path, run_id, capsys):
    store(seeds=(0, 1), scenes=2).write(tmp_path)
    (tmp_path / "runs" / run_id("formulations", "3d-sup", 0) / "evaluation.json").unlink()
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEFORE}\nlast year's numbers\n{AFTER}")
    with pytest.raises(DataError, match="is finished"):
        rewrite(readme, [tmp_path], tmp_path)
    assert "formulations: unfinished" in capsys.readouterr().err
    assert "last year" in readme.read_text()


def test_a_readme_without_the_block_is_refused(tmp_path, capsys):
    (tmp_path / "README.md").write_text("# Title\n")
    assert main([f"output_dir={tmp_path}", f"readme={tmp_path / 'README.md'}"]) == 2
    assert "is missing" in capsys.readouterr().err


def test_sweeps_come_from_several_folders_the_first_one_counts(store, scaling, tmp_path):
    store(seeds=(0, 1), scenes=2).write(tmp_path / "first")
    store(seeds=(0, 1, 2), scenes=2).write(tmp_path / "second")
    scaling(seeds=(0, 1, 2), scenes=2).write(tmp_path / "second")
    found = sweeps_of([tmp_path / "first", tmp_path / "second"])
    assert found == {"formulations": tmp_path / "first", "scaling": tmp_path / "second"}
