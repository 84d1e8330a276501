"""Regions of the cortex: parcels of fsaverage5, of any number or from a parcellation.

The cortex is the white surface of fsaverage5, without the medial wall. nilearn contains its surfaces; nothing
is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from jrflow.model.arguments import whole
from jrflow.observe.cortex import N_VERTICES, Cortex

#: Largest distance of a region's centre from the cortex, mm. Subcortical centres are farther away.
_MAX_DISTANCE = 20.0
#: Names of labels that are no cortex, in lower case.
_NO_CORTEX = {"unknown", "???", "medial_wall", "medial wall", "corpuscallosum", "background", ""}
#: Depths between the white and the pial surface at which an image is read.
_N_DEPTHS = 5
#: Vertices of a hemisphere of fsaverage. The first of them are those of fsaverage5.
_N_FSAVERAGE = 163_842


@dataclass(frozen=True)
class Parcels:
    """Regions of the cortex: each vertex of fsaverage5 belongs to one region or to none.

    Attributes
    ----------
    names
        One for each region, no two alike.
    region
        Position of each vertex's region, -1 for none, shape (n_vertices,); left vertices first.
    """

    names: tuple[str, ...]
    region: np.ndarray

    def __repr__(self) -> str:
        return f"Parcels({len(self)} regions, {self.areas.min():.0f} to {self.areas.max():.0f} mm²)"

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of_size(cls, n: int) -> Parcels:
        """Divide the cortex into n regions of nearly equal area.

        Each hemisphere is bisected again and again on its sphere, across the longest axis of each part, so
        that the areas have the ratio of the numbers of regions. The division is the same at every call.

        Parameters
        ----------
        n
            Number of regions, at least one for each hemisphere.

        Raises
        ------
        ValueError
            If n is no whole number, or there are not enough vertices.
        """
        cortex = Cortex.fsaverage5()
        n = whole("n", n, 2, int(cortex.cortical.sum()) // 4)
        region = np.full(len(cortex.positions), -1)
        names: list[str] = []
        left, right = _hemispheres(cortex)
        share = cortex.areas[left].sum() / cortex.areas[cortex.cortical].sum()
        n_left = int(np.clip(round(n * share), 1, n - 1))
        for side, vertices, count in (("lh", left, n_left), ("rh", right, n - n_left)):
            region[vertices] = len(names) + _bisected(cortex, vertices, count)
            names += [f"{side}-{k:0{len(str(max(n_left, n - n_left) - 1))}}" for k in range(count)]
        return cls(tuple(names), _connected(cortex, region, len(names)))

    @classmethod
    def of_labels(cls, labels: ArrayLike, names: Sequence[str] | None = None) -> Parcels:
        """From a number for each vertex.

        Parameters
        ----------
        labels
            Whole numbers for the vertices of fsaverage5 or fsaverage, left hemisphere first, shape (20484,)
            or (327684,). 0 and negative numbers are no region.
        names
            Names of the labels 1, 2, ...; by default ``region-1``, ... Labels whose name says that they are
            no cortex (``unknown``, ``Medial_wall``, ...) are left out.

        Raises
        ------
        ValueError
            If the shape is another, names are missing, or no vertex has a label.
        """
        labels = np.asarray(labels)
        n = labels.size // 2
        if labels.shape not in ((2 * N_VERTICES,), (2 * _N_FSAVERAGE,)) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"labels: expected whole numbers for the {2 * N_VERTICES} vertices of fsaverage5 or the "
                f"{2 * _N_FSAVERAGE} of fsaverage, received {labels.dtype} of shape {labels.shape}"
            )
        labels = np.concatenate([labels[:N_VERTICES], labels[n : n + N_VERTICES]])
        found = np.unique(labels[labels > 0])
        if not len(found):
            raise ValueError("labels: expected regions, found none: all vertices have the label 0 or less")
        if names is not None and len(names) < found.max():
            raise ValueError(f"names: expected one for each label up to {found.max()}, received {len(names)}")
        named = {int(k): f"region-{k}" if names is None else str(names[k - 1]) for k in found}
        kept = [k for k, name in named.items() if name.lower() not in _NO_CORTEX]
        region = np.full(len(labels), -1)
        for position, k in enumerate(kept):
            region[labels == k] = position
        return cls(_distinct([named[k] for k in kept]), region)

    @classmethod
    def from_annot(cls, left: str | PathLike[str], right: str | PathLike[str]) -> Parcels:
        """Read FreeSurfer annotations of fsaverage5 or fsaverage.

        Parameters
        ----------
        left, right
            Files of the two hemispheres, such as ``lh.aparc.annot`` and ``rh.aparc.annot``.

        Raises
        ------
        ValueError
            If the annotations are of another surface.
        """
        from nibabel.freesurfer.io import read_annot

        labels: list[np.ndarray] = []
        names: list[str] = []
        for side, path in (("lh", left), ("rh", right)):
            numbers, _, found = read_annot(path)
            if len(numbers) not in (N_VERTICES, _N_FSAVERAGE):
                raise ValueError(
                    f"{path}: expected an annotation of fsaverage5 ({N_VERTICES} vertices) or fsaverage "
                    f"({_N_FSAVERAGE}), found {len(numbers)} vertices; map it to fsaverage first "
                    "(mri_surf2surf)"
                )
            labels.append(np.where(numbers >= 0, numbers + 1 + len(names), 0))
            texts = [name.decode() if isinstance(name, bytes) else str(name) for name in found]
            names += [text if text.lower() in _NO_CORTEX else f"{side}-{text}" for text in texts]
        return cls.of_labels(np.concatenate(labels), names)

    @classmethod
    def from_volume(cls, image: str | PathLike[str]) -> Parcels:
        """Read a parcellation in MNI space: a NIfTI image of whole numbers, 0 for no region.

        Each vertex gets the label that occurs most often at five depths between the white and the pial
        surface; what lies outside the image has no label.

        Raises
        ------
        ValueError
            If it is no image of three dimensions, or no vertex of the cortex lies in a region.
        """
        import nibabel
        from nilearn.datasets import load_fsaverage
        from scipy.stats import mode

        try:
            content = nibabel.load(image)
        except nibabel.filebasedimages.ImageFileError as error:
            raise ValueError(f"{image}: expected a NIfTI image; {error}") from error
        if not isinstance(content, nibabel.spatialimages.SpatialImage):
            raise ValueError(f"{image}: expected a NIfTI image, received {type(content).__name__}")
        volume = np.asarray(content.dataobj)
        if volume.ndim != 3:
            raise ValueError(f"{image}: expected one label for each voxel, received the shape {volume.shape}")
        meshes = load_fsaverage("fsaverage5")
        white, pial = (
            np.concatenate([meshes[name].parts[side].coordinates for side in ("left", "right")])
            for name in ("white_matter", "pial")
        )
        depths = np.linspace(0, 1, _N_DEPTHS)[:, None, None]
        positions = (1 - depths) * white + depths * pial
        voxels = np.rint(nibabel.affines.apply_affine(np.linalg.inv(content.affine), positions)).astype(int)
        inside = ((voxels >= 0) & (voxels < volume.shape)).all(axis=-1)
        labels = np.zeros(inside.shape, int)
        labels[inside] = np.rint(volume[tuple(voxels[inside].T)]).astype(int)
        most = mode(labels, axis=0).mode
        return cls.of_labels(np.where(Cortex.fsaverage5().cortical, most, 0))

    @classmethod
    def at_centres(cls, centres: ArrayLike, names: Iterable[str]) -> Parcels:
        """Divide the cortex among given centres: each vertex belongs to the nearest one of its hemisphere.

        Parameters
        ----------
        centres
            mm, MNI coordinates, shape (n, 3), such as those of a connectivity of The Virtual Brain. A centre
            with x < 0 belongs to the left hemisphere.
        names
            Names of the regions.

        Raises
        ------
        ValueError
            If a centre is far from the cortex, or no vertex is nearest to it.
        """
        cortex, names = Cortex.fsaverage5(), tuple(names)
        wanted = np.asarray(centres, float)
        if wanted.shape != (len(names), 3):
            raise ValueError(f"centres: expected the shape ({len(names)}, 3), received {wanted.shape}")
        vertices = np.flatnonzero(cortex.cortical)
        distance, _ = cKDTree(cortex.positions[vertices] * 1e3).query(wanted)
        if (far := np.flatnonzero(distance > _MAX_DISTANCE)).size:
            raise ValueError(
                f"centres: {len(far)} of {len(names)} regions are more than {_MAX_DISTANCE:g} mm from the "
                f"cortex, such as {names[far[0]]!r} ({distance[far[0]]:.0f} mm): expected cortical regions "
                "in mm, MNI coordinates; leave subcortical regions out"
            )
        region = np.full(len(cortex.positions), -1)
        is_left = wanted[:, 0] < 0
        for side, vertices in zip((is_left, ~is_left), _hemispheres(cortex), strict=True):
            of_side = np.flatnonzero(side)
            if len(of_side):
                nearest = cKDTree(wanted[of_side]).query(cortex.positions[vertices] * 1e3)[1]
                region[vertices] = of_side[nearest]
        empty = np.setdiff1d(np.arange(len(names)), region)
        if len(empty):
            raise ValueError(
                f"centres: no part of the cortex is nearest to {len(empty)} of {len(names)} regions, such as "
                f"{names[empty[0]]!r}; merge it with its neighbour, or give a parcellation"
            )
        return cls(_distinct(names), region)

    @property
    def cortex(self) -> Cortex:
        """The surface."""
        return Cortex.fsaverage5()

    @cached_property
    def areas(self) -> np.ndarray:
        """Area of each region, mm², shape (n_regions,)."""
        return self._summed(self.cortex.areas)

    @cached_property
    def centres(self) -> np.ndarray:
        """Position of the vertex nearest to each region's mean position, mm, MNI, shape (n_regions, 3)."""
        positions = self.cortex.positions * 1e3
        mean = self._summed(positions * self.cortex.areas[:, None]) / self.areas[:, None]
        members = np.flatnonzero(self.region >= 0)
        away = np.linalg.norm(positions[members] - mean[self.region[members]], axis=1)
        order = np.lexsort((away, self.region[members]))
        first = np.searchsorted(self.region[members][order], np.arange(len(self)))
        return positions[members[order[first]]]

    @cached_property
    def normals(self) -> np.ndarray:
        """Mean of the outward unit normals over each region's area, shape (n_regions, 3).

        The length tells how much of a dipole moment per area remains: normals on both banks of a sulcus
        cancel.
        """
        return self._summed(self.cortex.normals * self.cortex.areas[:, None]) / self.areas[:, None]

    @cached_property
    def neighbours(self) -> np.ndarray:
        """Whether two regions touch, shape (n_regions, n_regions)."""
        a, b = self.region[np.stack(self.cortex.edges.nonzero())]
        touching = np.zeros((len(self), len(self)), bool)
        apart = (a != b) & (a >= 0) & (b >= 0)
        touching[a[apart], b[apart]] = True
        return touching

    def _summed(self, values: np.ndarray) -> np.ndarray:
        """Sums of values of the vertices over regions."""
        total = np.zeros((len(self), *values.shape[1:]))
        members = self.region >= 0
        np.add.at(total, self.region[members], values[members])
        return total


def _hemispheres(cortex: Cortex) -> tuple[np.ndarray, np.ndarray]:
    """Cortical vertices of the left and of the right hemisphere."""
    vertices = np.flatnonzero(cortex.cortical)
    return vertices[vertices < N_VERTICES], vertices[vertices >= N_VERTICES]


def _bisected(cortex: Cortex, vertices: np.ndarray, n: int) -> np.ndarray:
    """Number of the part, 0 to n - 1, of each of some vertices of one hemisphere."""
    if n == 1:
        return np.zeros(len(vertices), int)
    n_first = n // 2
    areas = cortex.areas[vertices]
    order, cut = _across(cortex.sphere[vertices], areas, n_first / n, cortex.edges[vertices][:, vertices])
    cut = int(np.clip(cut, n_first, len(vertices) - (n - n_first)))
    part = np.empty(len(vertices), int)
    part[order[:cut]] = _bisected(cortex, vertices[order[:cut]], n_first)
    part[order[cut:]] = n_first + _bisected(cortex, vertices[order[cut:]], n - n_first)
    return part


def _across(points: np.ndarray, areas: np.ndarray, share: float, edges: csr_array) -> tuple[np.ndarray, int]:
    """Cut a part across its longest axis, or a shorter one if the halves would otherwise fall apart.

    Returns
    -------
    Order of the vertices along the axis, and how many of them are in the first half, which has this share of
    the area.
    """
    away = points - np.average(points, axis=0, weights=areas)
    axes = np.linalg.eigh((away * areas[:, None]).T @ away)[1].T[::-1]
    cuts = []
    for axis in axes:
        order = np.argsort(away @ (axis * np.sign(axis[np.abs(axis).argmax()])), kind="stable")
        grown = np.cumsum(areas[order])
        cut = int(np.abs(grown - grown[-1] * share).argmin()) + 1
        cuts.append((order, cut))
        halves = order[:cut], order[cut:]
        if all(connected_components(edges[half][:, half], directed=False)[0] <= 1 for half in halves):
            return cuts[-1]
    return cuts[0]


def _connected(cortex: Cortex, region: np.ndarray, n: int) -> np.ndarray:
    """Give pieces that a cut has left apart from their region to the neighbour that they touch most."""
    region = region.copy()
    for k in range(n):
        members = np.flatnonzero(region == k)
        n_pieces, piece = connected_components(cortex.edges[members][:, members], directed=False)
        largest = np.bincount(piece).argmax()
        for lost in set(range(n_pieces)) - {largest}:
            pieces = members[piece == lost]
            around = region[cortex.edges[pieces].nonzero()[1]]
            around = around[(around >= 0) & (around != k)]
            if len(around):
                region[pieces] = np.bincount(around).argmax()
    return region


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Names of regions; an error if two are alike."""
    names = tuple(str(name) for name in names)
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"names: expected no two alike, received {sorted(twice)[0]!r} more than once")
    return names
