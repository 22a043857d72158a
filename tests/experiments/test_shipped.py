"""Initial weights that come with the code: taken where the id is theirs, refused where changed."""

import re

import pytest
import torch

from experiments import shipped
from experiments.compose import compose
from experiments.provenance import weights_digest
from experiments.rundir import RunDirectory, read_status
from experiments.ship import main as ship
from experiments.stages import dataset_stage, pretrain_stage
from experiments.work import dataset, pretrain
from flow3r.errors import DataError
from flow3r.files import read_json, write_json
from flow3r.weights.files import read_weights

OVERRIDES = ["profile=smoke", "size.source_clips=2", "steps.matching=1", "steps.geometry=1"]


def never() -> bool:
    return False


def make(stage, runtime, output):
    path = output / "stages" / stage.id
    directory = RunDirectory.create(path, stage.kind, stage.id, stage.spec, runtime)
    if not directory.done:
        directory.begin()
        work = dataset.work if stage.kind == "dataset" else pretrain.work
        assert work(directory, directory.spec(), never)
        directory.end("done")
    return directory


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An empty folder in place of the one in the code."""
    folder = tmp_path / "package"
    monkeypatch.setattr(shipped, "PRETRAINED", folder)
    monkeypatch.setattr(pretrain, "PRETRAINED", folder)
    return folder


@pytest.fixture
def pretrained(package, tmp_path):
    """A function: output folder, overrides -> the directory of its finished pretrain stage."""

    def run(name, *overrides):
        composed = compose([*OVERRIDES, *overrides])
        output = tmp_path / name
        for source in composed.spec["data"]["source"]:
            make(dataset_stage(source), composed.runtime, output)
        return make(pretrain_stage(composed.spec), composed.runtime, output)

    return run


def weights(directory):
    return read_weights(directory.path / "weights.pt")


def test_shipped_weights_are_taken_bit_for_bit_and_their_card_tells_where_from(
    pretrained, package, capsys
):
    trained = pretrained("first")
    assert ship([f"stage={trained.path}"]) == 0
    card = read_json(package / trained.path.name / "card.json")
    assert card["weights"] == weights_digest(weights(trained))
    assert card["spec"] == trained.spec()["spec"]
    assert len(card["provenance"]["data_fingerprints"]) == 2
    taken = pretrained("second")
    assert "come with the code" in capsys.readouterr().out
    assert weights_digest(weights(taken)) == card["weights"]
    assert read_json(taken.path / "card.json") == card
    assert read_status(taken.path)["state"] == "done"
    assert not (taken.path / "checkpoint").exists()


def test_other_settings_and_a_wish_to_train_are_respected(pretrained):
    trained = pretrained("first")
    ship([f"stage={trained.path}"])
    other = pretrained("second", "initialisation.pretrain.seed=7")
    assert (other.path / "checkpoint").exists()
    again = pretrained("third", "runtime.shipped_weights=false")
    assert again.path.name == trained.path.name
    assert (again.path / "checkpoint").exists()
    first, second = weights(trained), weights(again)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_card_of_another_spec_is_refused(pretrained, package):
    trained = pretrained("first")
    ship([f"stage={trained.path}"])
    path = package / trained.path.name / "card.json"
    write_json(path, {**read_json(path), "spec": {}})
    with pytest.raises(DataError, match="has another spec than the stage of that id"):
        pretrained("second")


def test_what_cannot_be_shipped_is_named(pretrained, tmp_path):
    trained = pretrained("first")
    words = [f"stage={trained.path}"]
    ship(words)
    with pytest.raises(DataError, match="is there already"):
        ship(words)
    taken = pretrained("second")
    with pytest.raises(DataError, match="has its weights from the code"):
        ship([f"stage={taken.path}"])
    (other,) = [p for p in (tmp_path / "first/stages").iterdir() if p.name.startswith("dataset")][
        :1
    ]
    with pytest.raises(DataError, match="no finished pretrain stage"):
        ship([f"stage={other}"])


SHIPPED = sorted(path.name for path in shipped.PRETRAINED.glob("*"))


@pytest.mark.parametrize("stage", SHIPPED)
def test_what_is_shipped_is_whole_and_small(stage):
    card = shipped.shipped_card(stage)
    assert weights_digest(shipped.shipped_weights(stage, card["spec"])) == card["weights"]
    files = list((shipped.PRETRAINED / stage).iterdir())
    assert sum(path.stat().st_size for path in files) <= 10_000_000


@pytest.mark.parametrize("stage", SHIPPED)
def test_what_is_shipped_has_seen_no_clip_of_the_study(stage):
    """No seed, no domain in common with what the arms train on and are scored on."""
    sources = shipped.shipped_card(stage)["spec"]["source"]
    data = compose(["profile=laptop"]).spec["data"]
    study = [data["labelled"], data["unlabelled"], *data["validation"].values()]
    study += data["test"].values()
    for part in ("seed", "domain"):
        seen = {s[part] if part == "seed" else s["world"][part] for s in sources}
        used = {s[part] if part == "seed" else s["world"][part] for s in study}
        assert not seen & used, part
    assert not re.search("target", str(sources))
