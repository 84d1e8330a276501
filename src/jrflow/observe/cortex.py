"""The fsaverage5 cortex, patches of it, and the transform of this brain into another head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mne
import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from jrflow.config.eeg import SourceConfig

#: Vertices of a hemisphere of fsaverage5.
N_VERTICES = 10_242

_MNE_FSAVERAGE = Path(mne.__file__).parent / "data" / "fsaverage"

#: Largest distance of a requested position from the cortex, mm; a larger one is probably a mistake.
_MAX_DISTANCE = 20.0

#: Smallest and largest radius of a human head, m.
_HEAD_RADII = (0.04, 0.13)


@dataclass(frozen=True)
class Cortex:
    """White surface of both hemispheres of fsaverage5, left vertices first.

    Attributes
    ----------
    positions
        m, MNI coordinates (fsaverage's surface RAS), shape (n_vertices, 3).
    normals
        Outward unit normals, shape (n_vertices, 3).
    areas
        Area of the surface that belongs to each vertex, mm², shape (n_vertices,).
    sphere
        Unit vectors of the vertices on the inflated sphere of their hemisphere, shape (n_vertices, 3).
    edges
        Whether two vertices are joined by an edge, sparse, shape (n_vertices, n_vertices).
    cortical
        False on the medial wall, shape (n_vertices,).
    """

    positions: np.ndarray
    normals: np.ndarray
    areas: np.ndarray
    sphere: np.ndarray
    edges: csr_array
    cortical: np.ndarray

    @classmethod
    @cache
    def fsaverage5(cls) -> Cortex:
        """Load it from nilearn. The medial wall is what the flat map leaves out."""
        from nilearn.datasets import load_fsaverage

        meshes = load_fsaverage("fsaverage5")
        halves = [_half(meshes, hemisphere) for hemisphere in ("left", "right")]
        positions, normals, areas, sphere, cortical = (
            np.concatenate(part) for part in zip(*halves, strict=True)
        )
        left, right = (meshes["white_matter"].parts[side].faces for side in ("left", "right"))
        starts, ends = _edges(np.concatenate([left, right + N_VERTICES]))
        edges = coo_array((np.ones(len(starts), bool), (starts, ends)), shape=(len(positions),) * 2).tocsr()
        return cls(positions, normals, areas, sphere, edges, cortical)


def _half(meshes: dict, hemisphere: str) -> tuple[np.ndarray, ...]:
    white, sphere, flat = (meshes[name].parts[hemisphere] for name in ("white_matter", "sphere", "flat"))
    positions, triangles = white.coordinates.astype(float) / 1e3, white.faces
    a, b, c = (positions[triangles[:, corner]] * 1e3 for corner in range(3))
    of_triangle = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    areas = np.bincount(triangles.ravel(), np.repeat(of_triangle / 3, 3), minlength=len(positions))
    unit = sphere.coordinates / np.linalg.norm(sphere.coordinates, axis=1, keepdims=True)
    outside = np.setdiff1d(np.arange(len(positions)), flat.faces)
    starts, ends = _edges(triangles[np.isin(triangles, outside).all(axis=1)])
    graph = coo_array((np.ones(len(starts)), (starts, ends)), shape=(len(positions),) * 2)
    # The flat map lacks the medial wall, and some vertices at its cuts.
    piece = connected_components(graph, directed=False)[1][outside]
    cortical = np.ones(len(positions), bool)
    cortical[outside[piece == np.bincount(piece).argmax()]] = False
    return positions, vertex_normals(positions, triangles), areas, unit.astype(float), cortical


@dataclass(frozen=True)
class Patch:
    """Cortical vertices that share one time course.

    Attributes
    ----------
    vertices
        Indices of the vertices in the surface, shape (n,).
    positions
        Positions of the vertices, m, shape (n, 3).
    normals
        Outward unit normals, shape (n, 3).
    found
        Position of the vertex at the patch's centre, mm, in the frame of the request, shape (3,).
    """

    vertices: np.ndarray
    positions: np.ndarray
    normals: np.ndarray
    found: np.ndarray


def fsaverage_patch(source: SourceConfig) -> Patch:
    """Patch of the white surface of fsaverage5, MNI coordinates (fsaverage's surface RAS).

    The hemisphere is the left one for x < 0. nilearn contains the surface; nothing is downloaded.

    Raises
    ------
    ValueError
        If the position is further than 20 mm from the cortex.
    """
    from nilearn.datasets import load_fsaverage

    hemisphere = "left" if source.position[0] < 0 else "right"
    mesh = load_fsaverage("fsaverage5")["white_matter"].parts[hemisphere]
    positions, triangles = mesh.coordinates.astype(float) / 1e3, mesh.faces
    centre = nearest_vertex(positions, source.position)
    vertices = grow_patch(positions, triangles, centre, source.extent)
    normals = vertex_normals(positions, triangles)
    return Patch(vertices, positions[vertices], normals[vertices], positions[centre] * 1e3)


def vertex_normals(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Outward unit normals (n, 3) of a closed surface: area-weighted mean of the adjoining triangles'."""
    a, b, c = (positions[triangles[:, corner]] for corner in range(3))
    normals = np.zeros_like(positions)
    # The cross product has the length of twice the area. FreeSurfer lists corners anticlockwise from outside.
    np.add.at(normals, triangles, np.cross(b - a, c - a)[:, np.newaxis])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def nearest_vertex(positions: np.ndarray, wanted: tuple[float, float, float]) -> int:
    """Index of the vertex (positions in m) nearest to a wanted position (mm, same frame).

    Raises
    ------
    ValueError
        If the nearest vertex is more than 20 mm away.
    """
    distances = np.linalg.norm(positions * 1e3 - np.asarray(wanted), axis=1)
    nearest = int(distances.argmin())
    if distances[nearest] > _MAX_DISTANCE:
        found = ", ".join(f"{x:.1f}" for x in positions[nearest] * 1e3)
        raise ValueError(
            f"source position {tuple(wanted)} mm is {distances[nearest]:.0f} mm from the nearest source, at "
            f"({found}) mm; expected at most {_MAX_DISTANCE:.0f} mm: give MNI coordinates of a cortical "
            "point, in mm"
        )
    return nearest


def grow_patch(positions: np.ndarray, triangles: np.ndarray, centre: int, extent: float) -> np.ndarray:
    """Vertices within ``extent`` mm of a centre, measured along the edges of the surface.

    MNE's ``grow_labels`` measures distances in the same way. The patch then stays on one bank of a sulcus,
    although the other bank may be closer in a straight line.
    """
    starts, ends = _edges(triangles)
    lengths = np.linalg.norm(positions[starts] - positions[ends], axis=1) * 1e3
    graph = coo_array((lengths, (starts, ends)), shape=(len(positions),) * 2).tocsr()
    reached = dijkstra(graph, directed=False, indices=centre, limit=extent)
    return np.flatnonzero(np.isfinite(reached))


def _edges(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of each side of some triangles.

    On a closed surface every edge belongs to two triangles, which list it in opposite directions.
    """
    return triangles[:, [0, 1, 2]].ravel(), triangles[:, [1, 2, 0]].ravel()


def fit_sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Least-squares sphere through points (n, 3), m: its centre (3,) and radius.

    Linear in the centre and in radius^2 - |centre|^2 (Coope 1993, J. Optim. Theory Appl. 76:381).

    Raises
    ------
    ValueError
        If the points do not determine a sphere of a head's size.
    """
    design = np.column_stack([2 * points, np.ones(len(points))])
    solution, _, rank, _ = np.linalg.lstsq(design, (points**2).sum(axis=1))
    centre = solution[:3]
    radius = float(np.sqrt(max(solution[3] + centre @ centre, 0.0)))
    if rank < 4 or not _HEAD_RADII[0] <= radius <= _HEAD_RADII[1]:
        raise ValueError(
            f"{len(points)} electrode positions give a sphere of radius {radius * 1e3:.0f} mm; expected a "
            f"head of {_HEAD_RADII[0] * 1e3:.0f}..{_HEAD_RADII[1] * 1e3:.0f} mm: positions must be in metres "
            "and spread over the scalp, at least four of them"
        )
    return centre, radius


def place_in_head(patch: Patch, centre: np.ndarray, radius: float) -> Patch:
    """Move a patch of fsaverage into a head that is described by a sphere through its electrodes.

    Nasion and ears define the axes of both head frames, so the brain is not rotated. It is scaled and
    shifted: the sphere through fsaverage's upper scalp (z > 0 in its head frame) becomes the sphere through
    the electrodes. With nasion and ears alone, the brain in a spherical montage would be 12 mm too far to
    the front, with the frontal pole outside the skull.
    """
    to_head = mne.transforms.invert_transform(mne.read_trans(_MNE_FSAVERAGE / "fsaverage-trans.fif"))
    scalp = mne.read_bem_surfaces(_MNE_FSAVERAGE / "fsaverage-head.fif", verbose="error")[0]["rr"]
    scalp = mne.transforms.apply_trans(to_head, scalp)
    scalp_centre, scalp_radius = fit_sphere(scalp[scalp[:, 2] > 0])
    positions = mne.transforms.apply_trans(to_head, patch.positions)
    positions = centre + (positions - scalp_centre) * (radius / scalp_radius)
    normals = mne.transforms.apply_trans(to_head, patch.normals, move=False)
    return Patch(patch.vertices, positions, normals, patch.found)
