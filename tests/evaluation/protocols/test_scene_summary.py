import numpy as np
import pytest

from flow3r.evaluation.protocols.protocol import PoseRules
from flow3r.evaluation.protocols.score import score_scene
from flow3r.evaluation.protocols.summary import summarise_scenes
from flow3r.evaluation.relative_pose import accuracy, area_under_curve, pair_errors
from flow3r.evaluation.sequence import SequencePrediction


def noisy_scenes(lab, groups=("a/1", "a/2", "b/1"), lengths=(3, 6, 5)):
    """(record, rotation errors, direction errors) of scenes of different lengths."""
    made = []
    for seed, (scene, frames) in enumerate(zip(groups, lengths)):
        truth = lab.truth(frames, 4, 4, seed, scene)
        poses = truth.world_from_camera.copy()
        for index in range(frames):
            poses[index, :3, :3] = poses[index, :3, :3] @ lab.motion(index)[:3, :3]
            poses[index, :3, 3] += 0.3 * lab.motion(index + seed)[:3, 3]
        prediction = SequencePrediction(scene, truth.frames, poses)
        record = score_scene(lab.protocol(), truth, prediction)
        made.append((record, *pair_errors(poses, truth.world_from_camera)))
    return made


def test_pairs_are_pooled_over_scenes_or_groups_or_not(lab):
    made = noisy_scenes(lab)
    records = [record for record, _, _ in made]
    protocol = lab.protocol(poses=PoseRules("pairs"))
    rotation, direction = (np.concatenate([m[k] for m in made]) for k in (1, 2))
    pooled = summarise_scenes(protocol, records)
    for angle in (5, 15, 30):
        assert pooled[f"rra_{angle}"] == pytest.approx(accuracy(rotation, angle))
        assert pooled[f"rta_{angle}"] == pytest.approx(accuracy(direction, angle))
        expected = area_under_curve(rotation, direction, angle)
        assert pooled[f"auc_{angle}"] == pytest.approx(expected)
    grouped = summarise_scenes(protocol, records, "groups")
    first = np.concatenate([made[0][2], made[1][2]])
    expected = (accuracy(first, 30) + accuracy(made[2][2], 30)) / 2
    assert grouped["rta_30"] == pytest.approx(expected)
    apart = summarise_scenes(protocol, records, "scenes")
    assert apart["rta_30"] == pytest.approx(np.mean([accuracy(m[2], 30) for m in made]))
    assert len({pooled["rta_30"], grouped["rta_30"], apart["rta_30"]}) == 3
    assert pooled["ate"] == grouped["ate"] == apart["ate"]


def test_pairs_without_a_direction_weigh_nothing(lab):
    records = [
        {"group": "a", "metrics": {"rta_30": 0.0, "rra_30": 0.0},
         "weights": {"pairs": 3, "directed_pairs": 1}},
        {"group": "a", "metrics": {"rta_30": 100.0, "rra_30": 100.0},
         "weights": {"pairs": 3, "directed_pairs": 3}},
        {"group": "b", "metrics": {"rra_30": 100.0},
         "weights": {"pairs": 6, "directed_pairs": 0}},
    ]  # fmt: skip
    summary = summarise_scenes(lab.protocol(poses=PoseRules("pairs")), records)
    assert summary == pytest.approx({"rra_30": 75.0, "rta_30": 75.0})


def test_depth_is_weighted_by_pixels(lab):
    records = [
        {"group": "a", "metrics": {"depth_abs_rel": 0.1}, "weights": {"pixels": 300}},
        {"group": "b", "metrics": {"depth_abs_rel": 0.5}, "weights": {"pixels": 100}},
        {"group": "c", "metrics": {}, "weights": {"pixels": 0}},
    ]
    protocol = lab.protocol(lab.depth_metrics, family="depth")
    assert summarise_scenes(protocol, records) == pytest.approx({"depth_abs_rel": 0.2})
