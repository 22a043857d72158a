"""The alignments that scale-free predictions get before they are compared with the ground truth."""

from __future__ import annotations

import numpy as np
import torch

from flow3r.geometry.similarity import umeyama


def align_similarity(
    source: np.ndarray,  # [M, K, 3]
    target: np.ndarray,  # [M, K, 3]
    valid: np.ndarray,  # [M, K] bool
) -> tuple[np.ndarray, np.ndarray]:
    """The least-squares Sim(3) (Umeyama 1991) of `source` to `target` over the valid points.

    Returns the moved source [M, K, 3] and the scale [M], in float64. A source that collapsed to one
    point ends at the mean of the target, which is the worst mean squared error any aligned
    prediction can have. The values of a clip without a valid point are meaningless.
    """
    points = torch.from_numpy(source.astype(np.float64))
    similarity = umeyama(
        points,
        torch.from_numpy(target.astype(np.float64)),
        torch.from_numpy(valid.astype(np.float64)),
    )
    return similarity.apply(points).numpy(), similarity.scale.numpy()


def median_scale(
    prediction: np.ndarray,  # [M, K]
    target: np.ndarray,  # [M, K]
    valid: np.ndarray,  # [M, K] bool
) -> np.ndarray:
    """The scale [M]: the median of target / prediction over the valid entries (NaN without any).

    The prediction must be positive where valid.
    """
    ratio = np.full(prediction.shape, np.nan)
    np.divide(target, prediction, out=ratio, where=valid)
    result = np.full(len(ratio), np.nan)
    known = valid.any(axis=1)
    result[known] = np.nanmedian(ratio[known], axis=1)
    return result
