"""Every shipped config composes; a mistake is one clear message with the choices."""

import shutil

import pytest
import torch

from experiments.compose import CONFIGS, choices, compose, load_sweep
from experiments.identity import run_id
from experiments.stages import required_stages
from flow3r.errors import ConfigError, DataError
from flow3r.teachers.registry import TEACHERS

FORMULATIONS = ["3d-sup", "flow-factored", "flow-projective", "flow-tracking"]


def test_the_shipped_groups():
    assert choices("formulation") == FORMULATIONS
    assert {"smoke", "laptop", "gpu", "paper"} == set(choices("profile"))


@pytest.mark.parametrize("profile", ["smoke", "laptop", "gpu"])
@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_every_profile_composes_with_every_formulation(profile, formulation):
    composed = compose([f"profile={profile}", f"formulation={formulation}", "seed=3"])
    assert composed.profile == profile
    assert composed.spec["formulation"]["name"] == formulation
    assert composed.spec["seed"] == 3
    assert (composed.spec["data"]["unlabelled_clips"] == 0) == (formulation == "3d-sup")


def test_the_paper_profile_composes_with_weights(tmp_path):
    (tmp_path / "pi3.pt").write_bytes(b"weights")
    composed = compose(["profile=paper", f"initialisation.weights={tmp_path / 'pi3.pt'}"])
    assert composed.spec["model"]["decoder"]["depth"] == 36


def test_a_missing_weights_file_is_named():
    with pytest.raises(ConfigError, match=r"initialisation\.weights='absent\.pt': no such file"):
        compose(["profile=paper", "initialisation.weights=absent.pt"])


LAYOUTS = {
    "pi3": (["point_decoder.projects.weight", "image_mean"], "pi3"),
    "flow3r": (["point_decoder.projects.weight", "flow_head.mlp.0.weight"], "pi3"),
    "vggt": (["aggregator.camera_token"], "vggt"),
    "dinov2": (["patch_embed.proj.weight", "pos_embed"], "dinov2"),
    "run": (["model.x", "formulation.y"], "weights"),
    "pretrain": (["model.x", "heads.flow-factored.y", "match.weight"], "weights"),
}


@pytest.mark.parametrize("profile", ["smoke", "paper"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_model_init_is_short_for_the_initialisation_that_the_file_tells(layout, profile, tmp_path):
    names, kind = LAYOUTS[layout]
    path = tmp_path / "it's a=file.pt"
    torch.save({name: torch.zeros(1) for name in names}, path)
    spec = compose([f"profile={profile}", f"model.init={path}"]).spec
    long = [f"initialisation.kind={kind}", f'initialisation.weights="{path}"']
    if profile != "paper":  # its initialisation has no such setting
        long.append("initialisation.pretrain=null")
    assert spec == compose([f"profile={profile}", *long]).spec
    assert spec["initialisation"]["kind"] == kind
    assert spec["initialisation"]["weights"] == str(path)
    assert len(spec["initialisation"]["content"]) == 16


def test_model_init_names_what_it_cannot_use(tmp_path):
    with pytest.raises(DataError, match=r"no weights file at absent\.pt"):
        compose(["model.init=absent.pt"])
    torch.save({"layer.weight": torch.zeros(1)}, tmp_path / "x.pt")
    with pytest.raises(DataError, match=r"model\.init=.*x\.pt: unknown layout, 1 tensors such as"):
        compose([f"model.init={tmp_path / 'x.pt'}"])


@pytest.mark.parametrize("model", choices("model"))
def test_every_model_composes(model):
    assert compose([f"model={model}", "profile=smoke"]).spec["model"]["patch_size"] > 0


@pytest.mark.parametrize("teacher", choices("teacher"))
def test_every_teacher_composes(teacher):
    spec = compose([f"teacher={teacher}", "profile=smoke"]).spec
    name = spec["data"]["unlabelled"]["teacher"]["name"]
    assert name in TEACHERS
    assert teacher.split("-")[0] == name  # noisy-strong is noisy with other settings


def test_videos_take_the_place_of_generated_unlabelled_clips(tmp_path):
    overrides = ["profile=smoke", "data=videos", f"data.videos.folder={tmp_path}"]
    (tmp_path / "a.mp4").write_bytes(b"1")
    spec = compose(overrides).spec
    assert spec["data"]["videos"]["folder"] == str(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"2")
    assert compose(overrides).spec["data"]["videos"]["content"] != spec["data"]["videos"]["content"]


def test_videos_are_labelled_by_dis_or_by_the_teacher_that_is_named(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"1")
    (tmp_path / "raft.pth").write_bytes(b"2")
    videos = ["profile=smoke", "data=videos", f"data.videos.folder={tmp_path}"]
    plain = compose(videos).spec["data"]["videos"]["teacher"]
    assert plain["name"] == "dis"
    assert plain["settings"]["patch_stride"] == 2  # written out: they are part of a label's key
    changed = compose([*videos, "teacher=dis", "+teacher.settings.patch_stride=4"])
    assert changed.spec["data"]["videos"]["teacher"]["settings"]["patch_stride"] == 4
    raft = compose([*videos, "teacher=raft", f"teacher.settings.weights={tmp_path / 'raft.pth'}"])
    assert raft.spec["data"]["videos"]["teacher"]["name"] == "raft"
    for teacher in ("exact", "noisy"):
        with pytest.raises(ConfigError, match=rf"teacher='{teacher}' needs the truth.*'dis'"):
            compose([*videos, f"teacher={teacher}"])


def test_a_manifest_takes_the_place_of_a_folder(make_manifest, tmp_path):
    path = make_manifest(tmp_path / "videos", videos=1, clips=2)
    given = ["profile=smoke", "data=videos", f"data.videos.manifest={path}"]
    spec = compose(given).spec
    assert spec["data"]["videos"]["ingest"] is None
    assert [s.kind for s in required_stages(spec)].count("ingest") == 0
    moved = shutil.copy(path, tmp_path / "moved.parquet")
    assert run_id(compose([*given[:-1], f"data.videos.manifest={moved}"]).spec) == run_id(spec)
    with pytest.raises(ConfigError, match=r"clips of 3 frames, the run needs 2 \(size.frames\)"):
        compose([*given, "size.frames=2"])
    with pytest.raises(DataError, match=r"absent\.parquet"):
        compose([*given[:-1], f"data.videos.manifest={tmp_path / 'absent.parquet'}"])
    with pytest.raises(ConfigError, match="one of folder="):
        compose([*given, f"data.videos.folder={tmp_path}"])


def test_the_labels_of_videos_are_a_stage_per_number_of_clips(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"1")
    videos = ["profile=smoke", "data=videos", f"data.videos.folder={tmp_path}"]

    def stages(*overrides):
        found = required_stages(compose([*videos, *overrides]).spec)
        return {s.kind: s.id for s in found if s.kind in ("ingest", "pseudo-labels")}

    first = stages()
    assert set(first) == {"ingest", "pseudo-labels"}
    fewer, stride = stages("data.unlabelled_clips=3"), stages("teacher=dis")
    assert fewer["ingest"] == first["ingest"]
    assert fewer["pseudo-labels"] != first["pseudo-labels"]
    assert stride == first
    assert stages("+data.videos.ingest.min_motion=0.1")["ingest"] != first["ingest"]
    assert stages("runtime.store=/elsewhere", "runtime.label_workers=4") == first


def test_a_missing_or_empty_video_folder_is_named(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match="videos="):
            compose(["profile=smoke", "data=videos", f"data.videos.folder={folder}"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["formulation=factored"], r"formulation='factored' is not known.*flow-factored"),
        (["profile=huge"], r"profile='huge' is not known.*laptop"),
        (["modell=x"], r"modell=x: no such setting; valid names there: .*'model'"),
        (["batch.repaly=1"], r"batch\.repaly=1: no such setting; valid names there: .*'replay'"),
        (["batch.replay=-1"], r"batch.*replay=-1 must not be negative"),
        (["data.unlabelled_clips=-5"], r"unlabelled_clips=-5 must not be negative"),
        (["data.unlabelled_clips=99999"], r"unlabelled_clips=99999 must lie in 0\.\.\d+"),
        (["data.labelled_clips=0"], r"labelled_clips=0 must lie in 1\.\."),
        (["formulation=3d-sup", "data.unlabelled_clips=8"], r"3d-sup is trained on labelled"),
        (["training.precision=float8"], r"precision='float8' is not valid.*bfloat16"),
        (["+loss.flow_wieght=3"], r"loss\.flow_wieght: unknown setting.*flow_weight"),
        (["loss.flow_weight=heavy"], r"loss\.flow_weight='heavy': expected float"),
        (["seed=one"], r"seed='one': expected int"),
        (["nonsense"], r"'nonsense' is not an override"),
        (["data.test.static.seed=52"], r"every generated data set needs a seed of its own"),
        (["data.test.static.world.frames=4"], r"must share \(frames, height, width\)"),
    ],
)
def test_mistakes_are_named(overrides, message):
    with pytest.raises(ConfigError, match=message):
        compose(["profile=smoke", *overrides])


ARMLESS = ("benchmarks", "tuning")  # they plan otherwise, and have tests of their own


@pytest.mark.parametrize("sweep", [name for name in choices("sweep") if name not in ARMLESS])
@pytest.mark.parametrize("profile", ["smoke", "laptop", "gpu"])
def test_every_arm_of_every_sweep_composes(sweep, profile):
    loaded = load_sweep(sweep, profile)
    assert loaded["baseline"] in loaded["arms"]
    assert loaded["headline"]["arm"] in loaded["arms"]
    for arm in loaded["arms"].values():
        compose([f"profile={profile}", *arm["overrides"]])


def test_the_scaling_axis_is_at_least_six_counts_with_zero():
    for profile in ("smoke", "laptop", "gpu"):
        loaded = load_sweep("scaling", profile)
        prefix = loaded["scaling"]["arm_prefix"]
        counts = sorted(int(a.removeprefix(prefix)) for a in loaded["arms"] if a.startswith(prefix))
        assert len(counts) >= 6
        assert counts[0] == 0


def test_unknown_sweeps_name_the_choices():
    with pytest.raises(ConfigError, match=r"sweep='x' is not known; choose one of .*scaling"):
        load_sweep("x", "smoke")
    with pytest.raises(ConfigError, match="not laid out for profile=paper"):
        load_sweep("scaling", "paper")


def test_no_shipped_config_refers_to_the_seed():
    """A sweep composes each arm once and sets the seed: nothing else may depend on it."""
    for path in CONFIGS.rglob("*.yaml"):
        assert "${seed" not in path.read_text(encoding="utf-8"), path
    first, second = (compose(["profile=smoke", f"seed={seed}"]).spec for seed in (0, 1))
    assert {**first, "seed": 1} == second
