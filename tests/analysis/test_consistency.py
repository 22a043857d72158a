"""What is refused: copied runs, mixed code, mixed data; and what allow_mixed still keeps apart."""

import shutil

import numpy as np
import pytest

from analysis.records import load_records, score_matrices
from flow3r.errors import DataError
from flow3r.files import read_json, write_json


def edit(path, **changes):
    write_json(path, {**read_json(path), **changes})


@pytest.fixture
def small(store, tmp_path):
    return store(seeds=(0, 1, 2), scenes=3).write(tmp_path)


@pytest.fixture
def folder(small, run_id):
    return lambda arm, seed: small / "runs" / run_id("formulations", arm, seed)


def test_mixed_code_is_refused_with_the_odd_runs_named(small, folder, run_id):
    edit(folder("flow-factored", 1) / "provenance.json", git_commit="fedcba9876")
    with pytest.raises(DataError, match="allow_mixed=true") as error:
        load_records(small, "formulations")
    text = str(error.value)
    assert "17 runs of commit abc1234, 1 run of commit fedcba9" in text
    assert f"flow-factored seed 1 ({run_id('formulations', 'flow-factored', 1)})" in text
    records = load_records(small, "formulations", allow_mixed=True)
    assert len(records.mixed) == 1
    assert records.mixed[0].startswith("code: ")


def test_uncommitted_changes_are_another_version(small, folder):
    edit(folder("3d-sup", 0) / "provenance.json", git_dirty=True)
    with pytest.raises(DataError, match="1 run of commit abc1234 with uncommitted changes"):
        load_records(small, "formulations")


def test_only_a_few_of_many_odd_runs_are_named(small, folder):
    for arm in ("3d-sup", "flow-factored"):
        for seed in (0, 1, 2):
            edit(folder(arm, seed) / "provenance.json", git_commit=None)
    with pytest.raises(DataError, match=r"6 runs of an unknown commit \[.*and 2 more\]"):
        load_records(small, "formulations")


def test_unfinished_runs_do_not_count(small, folder):
    edit(folder("3d-sup", 0) / "provenance.json", git_commit="fedcba9876")
    edit(folder("3d-sup", 0) / "status.json", state="running")
    assert load_records(small, "formulations").mixed == ()


def with_data(directory, fingerprint, teacher="exact", clips=16):
    spec = read_json(directory / "spec.json")
    spec["spec"]["data"] = {"teacher": teacher, "labelled_clips": clips, "unlabelled_clips": 0}
    write_json(directory / "spec.json", spec)
    edit(directory / "provenance.json", data_fingerprints={"labelled-0": fingerprint})


def test_the_same_data_by_the_spec_must_have_the_same_content(small, folder):
    for seed in (0, 1, 2):
        with_data(folder("3d-sup", seed), "aaaa")
    with_data(folder("flow-factored", 0), "aaaa", clips=64)  # more of the same data
    with_data(folder("flow-factored", 1), "bbbb", teacher="noisy")  # other data was asked for
    assert load_records(small, "formulations").mixed == ()
    with_data(folder("flow-factored", 0), "cccc", clips=64)
    with pytest.raises(DataError, match=r"training data 'labelled-0': 3 runs of fingerprint aaaa"):
        load_records(small, "formulations")


def test_videos_are_compared_by_what_so_many_of_their_clips_hold(small, folder):
    """Only as many clips of videos are labelled as a run asks for."""

    def with_videos(directory, fingerprint, clips):
        spec = read_json(directory / "spec.json")
        data = {"videos": {"content": "v"}, "labelled_clips": 4, "unlabelled_clips": clips}
        write_json(directory / "spec.json", {**spec, "spec": {**spec["spec"], "data": data}})
        prints = {"labelled-0": "aaaa", "unlabelled-0": fingerprint}
        edit(directory / "provenance.json", data_fingerprints=prints)

    with_videos(folder("flow-factored", 0), "1111", clips=8)
    with_videos(folder("flow-factored", 1), "1111", clips=8)
    with_videos(folder("flow-factored", 2), "2222", clips=16)
    assert load_records(small, "formulations").mixed == ()
    with_videos(folder("flow-factored", 2), "2222", clips=8)
    with pytest.raises(DataError, match=r"training data 'unlabelled-0': 2 runs of fingerprint 11"):
        load_records(small, "formulations")


def test_scores_on_different_data_are_never_paired(small, folder):
    path = folder("3d-sup", 1) / "evaluation.json"
    evaluation = read_json(path)
    evaluation["benchmarks"]["static"]["fingerprint"] = "other"
    write_json(path, evaluation)
    with pytest.raises(DataError, match=r"cannot be paired.*benchmark 'static': 17 runs"):
        load_records(small, "formulations")
    records = load_records(small, "formulations", allow_mixed=True)
    arms = ["flow-factored", "3d-sup"]
    values, seeds, scenes = score_matrices(records, arms, "static", "rra_15")
    assert scenes == [f"static/{k:06d}" for k in range(3)]
    assert np.isnan(values[1, seeds.index(1)]).all()
    assert not np.isnan(score_matrices(records, arms, "dynamic", "rra_15")[0]).any()


def test_a_copied_run_directory_is_refused(small, folder):
    shutil.rmtree(folder("3d-sup", 1))
    shutil.copytree(folder("3d-sup", 0), folder("3d-sup", 1))
    with pytest.raises(DataError, match="was a run directory copied"):
        load_records(small, "formulations")


def test_a_run_of_another_seed_is_refused(small, folder):
    spec = read_json(folder("3d-sup", 1) / "spec.json")
    spec["spec"]["seed"] = 0
    write_json(folder("3d-sup", 1) / "spec.json", spec)
    with pytest.raises(DataError, match="spec_seed=0, not 1"):
        load_records(small, "formulations")


def same_scores(folder, arm):
    first = read_json(folder(arm, 0) / "evaluation.json")
    edit(folder(arm, 1) / "evaluation.json", benchmarks=first["benchmarks"])


def test_the_same_scores_under_two_seeds_are_refused(small, folder):
    same_scores(folder, "3d-sup")
    with pytest.raises(DataError, match=r"seeds 0 and 1 .* a copied run is no repeat"):
        load_records(small, "formulations")


def test_an_untrained_arm_may_score_the_same_for_every_seed(small, folder):
    same_scores(folder, "3d-sup")
    for seed in (0, 1, 2):
        edit(folder("3d-sup", seed) / "status.json", total_steps=0, step=0)
    assert load_records(small, "formulations").complete


def test_all_equal_scores_are_no_copies(small, folder):
    for arm in ("3d-sup", "flow-factored"):
        for seed in (0, 1, 2):
            path = folder(arm, seed) / "evaluation.json"
            evaluation = read_json(path)
            for benchmark in evaluation["benchmarks"].values():
                for scene in benchmark["scenes"]:
                    scene["metrics"] = dict.fromkeys(scene["metrics"], 1.0)
            write_json(path, evaluation)
    assert load_records(small, "formulations").complete
