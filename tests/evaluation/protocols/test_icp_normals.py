import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from flow3r.evaluation.protocols.icp import (
    apply_motion,
    best_motion,
    iterated_closest_points,
)
from flow3r.evaluation.protocols.normals import normals_at
from flow3r.evaluation.protocols.surfaces import search_tree


def motion_of(vector, shift):
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(vector).as_matrix()
    motion[:3, 3] = shift
    return motion


@pytest.fixture
def bumps():
    """2500 points of a wavy surface, spacing 0.04."""
    grid = np.linspace(-1, 1, 50)
    x, y = np.meshgrid(grid, grid)
    return np.stack([x, y, 0.3 * np.sin(3 * x) + 0.2 * np.cos(4 * y)], axis=-1).reshape(-1, 3)


def reference_icp(source, target, threshold, iterations):
    """Brute force, with scipy's own solution of the rotation."""
    motion, previous = np.eye(4), (-1.0, -1.0)
    for step in range(iterations + 1):
        moved = source @ motion[:3, :3].T + motion[:3, 3]
        distances = cdist(moved, target)
        near = distances.argmin(axis=1)
        shortest = distances[np.arange(len(source)), near]
        hit = shortest < threshold
        state = hit.mean(), np.sqrt((shortest[hit] ** 2).mean())
        if max(abs(state[0] - previous[0]), abs(state[1] - previous[1])) < 1e-6:
            break
        previous = state
        if step == iterations:
            break
        a, b = moved[hit], target[near[hit]]
        rotation, _ = Rotation.align_vectors(b - b.mean(axis=0), a - a.mean(axis=0))
        update = np.eye(4)
        update[:3, :3] = rotation.as_matrix()
        update[:3, 3] = b.mean(axis=0) - update[:3, :3] @ a.mean(axis=0)
        motion = update @ motion
    return motion


def test_icp_finds_a_small_motion(bumps):
    motion = motion_of([0.01, -0.008, 0.012], [0.008, 0.005, -0.01])
    moved = apply_motion(motion, bumps)
    found = iterated_closest_points(moved, search_tree(bumps), 0.1)
    np.testing.assert_allclose(found @ motion, np.eye(4), atol=1e-9)


@pytest.mark.parametrize("threshold", [0.05, 0.1, 1.0])
@pytest.mark.parametrize("iterations", [0, 1, 5, 30])
def test_icp_against_brute_force(bumps, threshold, iterations):
    rng = np.random.default_rng(0)
    source = apply_motion(motion_of([0.05, 0.02, -0.04], [0.03, -0.05, 0.02]), bumps[::4])
    source = source + 0.01 * rng.normal(size=source.shape)
    found = iterated_closest_points(source, search_tree(bumps), threshold, iterations)
    expected = reference_icp(source, bumps, threshold, iterations)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_icp_against_trimesh(bumps):
    """trimesh has no largest distance; with a large one, both minimise the same thing."""
    trimesh = pytest.importorskip("trimesh")
    source = apply_motion(motion_of([0.03, 0.02, -0.02], [0.02, -0.01, 0.02]), bumps[::3])
    ours = iterated_closest_points(source, search_tree(bumps), 10.0, 30)
    theirs, moved, _ = trimesh.registration.icp(
        source, bumps, threshold=1e-9, max_iterations=30, reflection=False, scale=False
    )
    np.testing.assert_allclose(apply_motion(ours, source), moved, atol=1e-4)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_icp_without_matches_stays(bumps):
    tree = search_tree(bumps)
    np.testing.assert_array_equal(iterated_closest_points(bumps + 50.0, tree, 0.1), np.eye(4))
    np.testing.assert_array_equal(iterated_closest_points(bumps[:2], tree, 0.1), np.eye(4))


def test_the_best_motion_has_no_mirror():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(20, 3))
    motion = motion_of([0.4, -1.2, 2.0], [1, 2, 3])
    np.testing.assert_allclose(best_motion(points, apply_motion(motion, points)), motion)
    mirrored = points * [1, 1, -1]
    assert np.linalg.det(best_motion(points, mirrored)[:3, :3]) == pytest.approx(1.0)


def test_normals_of_a_plane_and_of_a_sphere():
    rng = np.random.default_rng(2)
    normal = np.array([1.0, 2.0, -2.0]) / 3
    flat = rng.normal(size=(400, 3))
    flat -= np.outer(flat @ normal, normal)
    found = normals_at(flat[:50], search_tree(flat), 30)
    np.testing.assert_allclose(np.abs(found @ normal), 1.0, atol=1e-12)
    ball = rng.normal(size=(20000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    found = normals_at(ball[:200], search_tree(ball), 30)
    assert np.abs((found * ball[:200]).sum(axis=1)).min() > 0.99


def test_normals_against_a_loop(bumps):
    rng = np.random.default_rng(3)
    cloud = bumps + 0.01 * rng.normal(size=bumps.shape)
    found = normals_at(cloud[:40], search_tree(cloud), 12)
    for point, normal in zip(cloud[:40], found):
        around = cloud[np.argsort(np.linalg.norm(cloud - point, axis=1))[:12]]
        expected = np.linalg.svd(around - around.mean(axis=0))[2][-1]
        assert abs(normal @ expected) == pytest.approx(1.0, abs=1e-9)


def test_the_search_tree_is_exact(bumps):
    rng = np.random.default_rng(4)
    asking = rng.normal(size=(300, 3))
    fast, plain = search_tree(bumps).query(asking), cKDTree(bumps).query(asking)
    np.testing.assert_array_equal(fast[0], plain[0])
