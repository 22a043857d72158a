"""The supervised objective: every 3D term and their weighted sum."""

from __future__ import annotations

import torch
from torch import Tensor

from flow3r.data.clip import LabelledClips
from flow3r.errors import ConfigError
from flow3r.geometry.precision import at_least_float32
from flow3r.losses.alignment import Aligned, Target, aligned_prediction, normalised_target
from flow3r.losses.camera import (
    relative_poses,
    rotation_loss,
    translation_direction_loss,
    translation_loss,
)
from flow3r.losses.confidence import confidence_loss
from flow3r.losses.config import LossConfig
from flow3r.losses.normals import normals_loss
from flow3r.losses.points import point_errors, points_loss
from flow3r.losses.reduction import Total, alone
from flow3r.losses.world_points import with_world_as_camera, world_points_loss
from flow3r.model.outputs import Geometry

__all__ = ["LossConfig", "supervised_loss"]


def supervised_loss(
    geometry: Geometry, clips: LabelledClips, config: LossConfig, total: Total = alone
) -> dict[str, Tensor]:
    """Every 3D loss term, unweighted scalars, and `total`, their weighted sum (without flow).

    Keys: points, world_points (with the weight of points, where the model has a head for them),
    normals, confidence, camera_rotation, camera_translation, camera_translation_direction; a term
    whose weight is 0 is not computed and has no key. Runs in
    float32, also inside autocast. Without clips every term is zero, and so are the gradients, of
    which there are the same as with clips. Raises ConfigError if the confidence is to be trained
    but the model predicts none.
    """
    with torch.autocast(clips.depth.device.type, enabled=False):
        target = normalised_target(clips, config)
        prediction = aligned_prediction(geometry, target, config)
        terms = _point_terms(geometry, prediction, target, config, total)
        if geometry.predicted_points is not None:
            prediction, target = with_world_as_camera(prediction, target)
        terms |= _camera_terms(prediction, target, config, total)
    weights = {
        "points": config.points_weight,
        "world_points": config.points_weight,
        "normals": config.normals_weight,
        "confidence": config.confidence_weight,
        "camera_rotation": config.rotation_weight,
        "camera_translation": config.translation_weight,
        "camera_translation_direction": config.translation_direction_weight,
    }
    weighted = prediction.points.new_zeros(())
    for name, value in terms.items():
        weighted = weighted + weights[name] * value
    return {**terms, "total": weighted}


def _point_terms(
    geometry: Geometry, prediction: Aligned, target: Target, config: LossConfig, total: Total
) -> dict[str, Tensor]:
    terms: dict[str, Tensor] = {}
    if config.points_weight or config.confidence_weight:
        errors = point_errors(prediction, target)
    if config.points_weight:
        terms["points"] = points_loss(errors, target, total)
        if geometry.predicted_points is not None:
            world_points = geometry.predicted_points
            terms["world_points"] = world_points_loss(world_points, prediction, target, total)
    if config.normals_weight:
        terms["normals"] = normals_loss(prediction, target, config, total)
    if config.confidence_weight:
        if geometry.confidence is None:
            raise ConfigError(
                f"confidence_weight={config.confidence_weight}: the model predicts no confidence; "
                "set it to 0 or give the model its confidence branch"
            )
        logits = at_least_float32(geometry.confidence)
        terms["confidence"] = confidence_loss(logits, errors, target, config, total)
    return terms


def _camera_terms(
    prediction: Aligned, target: Target, config: LossConfig, total: Total
) -> dict[str, Tensor]:
    terms: dict[str, Tensor] = {}
    weights = (
        config.rotation_weight,
        config.translation_weight,
        config.translation_direction_weight,
    )
    if not any(weights):
        return terms
    poses = relative_poses(prediction, target)
    if config.rotation_weight:
        terms["camera_rotation"] = rotation_loss(poses, total)
    if config.translation_weight:
        terms["camera_translation"] = translation_loss(poses, config, total)
    if config.translation_direction_weight:
        terms["camera_translation_direction"] = translation_direction_loss(poses, config, total)
    return terms
