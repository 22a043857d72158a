"""Unlabelled clips of several sources, shares of videos, pairs per clip: from the command line to
stages, pools and proportions.
"""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import mixture
from experiments.compose import compose
from experiments.identity import run_id
from experiments.labelling.job import LabelJob
from experiments.mixture import pool_sizes, unlabelled_pool
from experiments.spec import parse_spec
from experiments.stages import required_stages, source_stages
from experiments.unlabelled import sources_of
from flow3r.data.epochs import Mixture
from flow3r.errors import ConfigError, DataError

WORLD = "{domain: target, dynamic: true, frames: 3, height: 32, width: 32}"
FIRST = f"{{clips: 12, weight: 3, generated: {{seed: 61, count: 16, world: {WORLD}}}}}"
SECOND = f"{{clips: 4, weight: 1, generated: {{seed: 62, count: 4, world: {WORLD}}}}}"
TWO = f"data.unlabelled_sources={{first: {FIRST}, second: {SECOND}}}"


def spec_of(*overrides):
    return compose(["profile=smoke", *overrides]).spec


def test_each_source_gives_its_part_and_has_a_stage_of_its_own():
    spec = spec_of(TWO, "data.unlabelled_clips=8")
    sources = sources_of(spec["data"])
    assert [source.clips for source in sources] == [6, 2]
    needed = {stage.id for stage in required_stages(spec)}
    own = {source_stages(source)[-1].id for source in sources}
    assert len(own) == 2
    assert own <= needed
    fewer = sources_of(spec_of(TWO, "data.unlabelled_clips=1")["data"])
    assert [source.clips for source in fewer] == [1]
    assert not sources_of(spec_of(TWO, "data.unlabelled_clips=0", "formulation=3d-sup")["data"])


def test_the_pool_has_the_nested_clips_of_every_source(make_store, monkeypatch, tmp_path):
    stores = iter([make_store("first", 16, 1), make_store("second", 4, 2)] * 2)
    monkeypatch.setattr(mixture.ClipStore, "open", lambda path: next(stores))
    pools = {}
    for count in (8, 16):
        spec = spec_of(TWO, f"data.unlabelled_clips={count}")
        pools[count] = unlabelled_pool(spec["data"], tmp_path, tmp_path)
        weights = parse_spec(spec).data.unlabelled_weights
    assert pools[8].counts == (6, 2)
    assert pools[16].counts == (12, 4)
    names = [{pool.clip_name(i) for i in range(len(pool))} for pool in pools.values()]
    assert names[0] < names[1]
    assert weights == (3.0, 1.0)
    sizes = pool_sizes(None, {"unlabelled": pools[16]}, weights)
    assert sizes == {"unlabelled": Mixture((12, 4), (3.0, 1.0))}
    assert pool_sizes(None, {"unlabelled": pools[16]}) == {"unlabelled": 16}


def test_a_source_that_gives_no_clip_has_no_weight():
    data = parse_spec(spec_of(TWO, "data.unlabelled_clips=1")).data
    assert data.unlabelled_weights == (1.0,)
    assert parse_spec(spec_of()).data.unlabelled_weights is None


def test_the_example_of_a_mixture_composes(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"not a film, but a file")
    spec = spec_of(
        "data=mixture",
        f"data.unlabelled_sources.real.videos.folder={tmp_path}",
        "data.unlabelled_sources.real.clips=16",
        "data.unlabelled_clips=8",
    )
    real, generated = sources_of(spec["data"])
    assert (real.clips, generated.clips) == (4, 4)
    assert real.videos["content"]
    kinds = [stage.kind for stage in required_stages(spec)]
    assert kinds.count("ingest") == kinds.count("pseudo-labels") == 1
    (tmp_path / "film.mp4").write_bytes(b"another one")
    assert run_id(spec) != run_id(
        spec_of(
            "data=mixture",
            f"data.unlabelled_sources.real.videos.folder={tmp_path}",
            "data.unlabelled_sources.real.clips=16",
            "data.unlabelled_clips=8",
        )
    )


def test_settings_at_their_defaults_leave_no_trace_in_a_spec():
    spec = spec_of()
    assert "pairs" not in spec["batch"]
    assert not {"unlabelled_sources", "unlabelled_share"} & set(spec["data"])
    assert json.loads(json.dumps(spec)) == spec
    changed = spec_of("batch.pairs.per_clip=2", "batch.pairs.gaps={1: 2, 2: 1}")
    assert changed["batch"]["pairs"]["gaps"] == {"1": 2.0, "2": 1.0}
    assert run_id(changed) != run_id(spec)
    assert {s.id for s in required_stages(changed)} == {s.id for s in required_stages(spec)}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.unlabelled_share=0.1"], "generated clips do not have"),
        ([TWO, "data.unlabelled_share=0.1"], "generated clips do not have"),
        ([TWO, "data.unlabelled_clips=17"], r"must lie in 0\.\.16"),
        (
            [TWO.replace("weight: 1, ", "")],
            "give all unlabelled_sources a weight, or none of them",
        ),
        ([TWO.replace("seed: 62", "seed: 61")], "a seed of its own"),
        ([TWO.replace("clips: 4,", "clips: 5,")], r"clips=5 must lie in 1\.\.4"),
        ([TWO.replace("weight: 3", "weight: 0")], "weight=0.0 must be positive"),
        (["data.unlabelled_sources={empty: {clips: 3}}"], "one of generated and videos"),
        (["batch.pairs.min_covisibility=0.5"], "say how many: per_clip"),
    ],
)
def test_contradictions_are_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        spec_of(*overrides)


def test_a_share_of_videos_is_part_of_the_stage_not_of_the_plain_one(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"not a film, but a file")
    given = ("data=videos", f"data.videos.folder={tmp_path}", "data.unlabelled_clips=5")
    [plain] = sources_of(spec_of(*given)["data"])
    [share] = sources_of(spec_of(*given, "data.unlabelled_share=0.1")["data"])
    assert source_stages(plain)[-1].spec["clips"] == 5
    assert "share" not in source_stages(plain)[-1].spec
    assert source_stages(share)[-1].spec["share"] == 0.1
    with pytest.raises(ConfigError, match=r"unlabelled_share=2.0 must lie in \(0, 1\]"):
        spec_of(*given, "data.unlabelled_share=2")


def test_the_rows_of_a_share_are_those_of_its_names(monkeypatch):
    names = [f"film/{i:06d}" for i in range(500)]
    manifest = SimpleNamespace(column=lambda name: names, __len__=lambda self: 500)
    job = LabelJob("m.parquet", {}, {}, "store")
    monkeypatch.setattr(LabelJob, "manifest", manifest)
    whole, tenth = job.order(), job.order(0.1)
    assert np.array_equal(tenth, whole[: len(tenth)])
    assert 25 <= len(tenth) <= 75
    with pytest.raises(DataError, match="has none"):
        job.order(1e-9)
