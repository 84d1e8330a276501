from __future__ import annotations

import numpy as np
import pytest

from jrflow.config.eeg import SourceConfig
from jrflow.observe.cortex import fit_sphere, fsaverage_patch, grow_patch, place_in_head, vertex_normals

OCTAHEDRON = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1.0]])
FACES = np.array(
    [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]],
)


def test_normals_of_a_regular_solid_point_outward() -> None:
    np.testing.assert_allclose(vertex_normals(OCTAHEDRON, FACES), OCTAHEDRON, atol=1e-12)


def test_patch_grows_along_edges() -> None:
    edge = np.sqrt(2) * 1e3
    assert grow_patch(OCTAHEDRON, FACES, 0, 1.0).tolist() == [0]
    # The opposite corner is 2000 mm away through the solid but two edges along its surface.
    assert grow_patch(OCTAHEDRON, FACES, 0, 2100.0).tolist() == [0, 2, 3, 4, 5]
    assert grow_patch(OCTAHEDRON, FACES, 0, 2 * edge + 1).tolist() == [0, 1, 2, 3, 4, 5]


def test_sphere_is_recovered() -> None:
    directions = np.random.default_rng(0).standard_normal((40, 3))
    directions[:, 2] = abs(directions[:, 2])
    points = [0.001, 0.01, 0.04] + 0.09 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    centre, radius = fit_sphere(points)
    np.testing.assert_allclose(centre, [0.001, 0.01, 0.04], atol=1e-12)
    assert radius == pytest.approx(0.09)


@pytest.mark.parametrize("scale", [1e3, 0.1], ids=["millimetres", "doll"])
def test_points_that_are_no_head_are_refused(scale: float) -> None:
    with pytest.raises(ValueError, match=r"positions must be in metres"):
        fit_sphere(OCTAHEDRON * 0.09 * scale)


def test_points_in_a_plane_are_refused() -> None:
    angles = np.linspace(0, 6, 12)
    ring = 0.09 * np.column_stack([np.cos(angles), np.sin(angles), np.zeros(12)])
    with pytest.raises(ValueError, match="spread over the scalp"):
        fit_sphere(ring)


def test_default_patch_lies_in_the_left_middle_frontal_gyrus() -> None:
    patch = fsaverage_patch(SourceConfig())
    assert np.linalg.norm(patch.found - [-40, 12, 47]) < 5
    assert np.linalg.norm(patch.positions * 1e3 - patch.found, axis=1).max() <= 10
    np.testing.assert_allclose(np.linalg.norm(patch.normals, axis=1), 1)
    # A gyrus of the convexity: on the whole its normals point away from the brain's middle.
    assert (patch.normals.mean(axis=0) @ (patch.found - [0, -20, 10])) > 0


def test_hemisphere_follows_the_sign_of_x() -> None:
    right = fsaverage_patch(SourceConfig(position=(40.0, 12.0, 47.0)))
    assert (right.positions[:, 0] > 0).all()


def test_position_far_from_the_cortex_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mm from the nearest source.*MNI coordinates"):
        fsaverage_patch(SourceConfig(position=(-40.0, 12.0, 147.0)))


def test_brain_follows_the_head() -> None:
    patch = fsaverage_patch(SourceConfig())
    near = place_in_head(patch, np.zeros(3), 0.09)
    far = place_in_head(patch, np.array([0, 0, 0.02]), 0.045)
    np.testing.assert_allclose(far.positions - [0, 0, 0.02], near.positions / 2, atol=1e-12)
    np.testing.assert_allclose(far.normals, near.normals)
    eccentricity = np.linalg.norm(near.positions, axis=1) / 0.09
    assert ((eccentricity > 0.5) & (eccentricity < 0.9)).all()
