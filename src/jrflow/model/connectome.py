"""A brain's connections: which region drives which, how strongly and over what distance."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike

from jrflow.model.arguments import chosen, whole
from jrflow.model.plausible import of_lengths, warn
from jrflow.model.region_labels import aligned, names_of
from jrflow.model.tvb_zip import read_tvb_zip

# The brain of `synthetic`: near what least squares gives for the links of tvb-data's human tractographies, 66
# and 68 regions (tests/model/test_connectome.py fits them anew). Log weight falls by 0.035 and 0.049 per mm
# between centres, with a standard deviation of 1.4 and 2.4; tracts are 1.44 and 1.41 times as long as that;
# mirrored regions are linked 1.4 and 5.0 times as strongly (geometric mean). The brain's size is a choice.
_SEMI_AXES = (65.0, 85.0, 60.0)  # mm: left-right, back-front, bottom-top
_MIDLINE = 5.0  # mm from a hemisphere to the plane between them
_DECAY, _LOG_SD, _TORTUOSITY, _HOMOLOGOUS = 0.04, 1.4, 1.4, 2.5


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Connectome:
    """Weights and tract lengths between regions; its arrays are copies, float64 and read-only.

    ``weights[i, j]`` is the strength of the link **from** region ``j`` **to** region ``i``, as TVB has it:
    region ``i`` receives ``G * sum_j weights[i, j] * S_j(t - delay[i, j])``. What stands on the diagonal is a
    link of a region with itself, on top of the loops of its column.

    Parameters
    ----------
    weights
        Shape (n_regions, n_regions), in any unit, for ``G`` scales them; negative ones inhibit.
    tract_lengths
        mm, at least 0, shape and order of the weights. Without them nothing can be delayed.
    names
        One for each region, no two alike; by default the labels of the weights, or ``region-00``,
        ``region-01``, ... Matrices with labels (DataFrame, DataArray) are aligned with the names.
    centres
        Where the regions are, mm, shape (n_regions, 3).

    Raises
    ------
    ValueError
        If a shape is wrong, a number not finite, a length negative, or a name missing or used twice.
    """

    weights: np.ndarray
    tract_lengths: np.ndarray | None
    names: tuple[str, ...]
    centres: np.ndarray | None

    def __init__(
        self, weights: ArrayLike, tract_lengths: ArrayLike | None = None,
        names: Iterable[str] | None = None, centres: ArrayLike | None = None,
    ) -> None:  # fmt: skip
        names = names_of(weights) if names is None else names
        if names is not None and not isinstance(names, str):
            names = tuple(names)
            weights, tract_lengths, centres = aligned(names, weights, tract_lengths, centres)
        checked = _array("weights", weights)
        n = len(checked)
        lengths = None if tract_lengths is None else _array("tract_lengths", tract_lengths, (n, n), least=0.0)
        places = None if centres is None else _array("centres", centres, (n, 3))
        self._set(weights=checked, tract_lengths=lengths, centres=places, names=_names(names, n))
        warn(of_lengths(checked, lengths, places))

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the class is frozen

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.weights, self.tract_lengths, self.names, self.centres)

    def __repr__(self) -> str:
        return f"Connectome({self.n_regions} regions, density {self.density:.2f}, sha256 {self.digest[:12]})"

    @property
    def n_regions(self) -> int:
        """Number of regions."""
        return len(self.names)

    @property
    def density(self) -> float:
        """Fraction of the weights, those on the diagonal among them, that are not zero."""
        return np.count_nonzero(self.weights) / self.weights.size

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of weights, tract lengths and names: what a simulation depends on."""
        content = hashlib.sha256(json.dumps([self.names, self.tract_lengths is not None]).encode())
        for array in (self.weights, self.tract_lengths):
            if array is not None:
                content.update((array + 0.0).astype("<f8").tobytes())  # + 0.0: -0 is 0
        return content.hexdigest()

    def delays(self, speed: float, dt: float) -> np.ndarray:
        """Delay of every link in whole steps: tract length / speed / dt, a half rounded to the even number.

        It has the shape and order of the weights, is int64, and 0 where the weight is 0.

        Parameters
        ----------
        speed, dt
            Conduction speed, m/s, infinite for no delays; integration step, s.

        Raises
        ------
        ValueError
            If speed or step is not positive, if a finite speed meets no tract lengths, or if a delay takes
            more than 2**31 steps: the speed has a wrong unit.
        """
        if not (speed > 0 and 0 < dt < np.inf):
            raise ValueError(f"delays: expected speed (m/s) and dt (s) above 0, received {speed} and {dt}")
        if np.isinf(speed):
            return np.zeros(self.weights.shape, np.int64)
        if self.tract_lengths is None:
            raise ValueError(f"speed: expected inf, or a connectome with tract_lengths, received {speed} m/s")
        linked = np.where(self.weights != 0, self.tract_lengths, 0.0)
        step = dt * 1e3  # ms; mm / (m/s) = ms
        if linked.max() > 2**31 * step * speed:
            raise ValueError(f"speed: expected m/s, received {speed}: {linked.max():g} mm take > 2**31 steps")
        return np.rint(linked / speed / step).astype(np.int64)

    def normalised(self, how: str) -> Connectome:
        """Rescale the weights.

        ``max``: the largest becomes 1. ``in-strength``: each row, what a region receives, sums to 1; rows of
        zeros stay. Where weights are negative, both go by absolute values. Another way is a ValueError.
        """
        size = np.abs(self.weights)
        scales = {"max": size.max(keepdims=True), "in-strength": size.sum(axis=1, keepdims=True)}
        chosen("how", how, scales)
        weights = _read_only(self.weights / np.where(scales[how] > 0, scales[how], 1.0))
        scaled = object.__new__(Connectome)
        scaled._set(weights=weights, tract_lengths=self.tract_lengths, centres=self.centres, names=self.names)
        return scaled

    @classmethod
    def from_tvb_zip(cls, path: str | PathLike[str]) -> Connectome:
        """Read a connectivity of The Virtual Brain, such as those of the package ``tvb-data``.

        The zip holds, in any folder, ``weights.txt``, ``centres.txt`` or ``centers.txt`` (label, x, y, z in
        mm; a header line and further columns are ignored) and ``tract_lengths.txt`` (mm), each perhaps as
        ``.txt.bz2``. Without tract lengths, or with an empty file, nothing can be delayed. Labels that occur
        several times are numbered, with a warning. Nothing is transposed: rows receive in TVB, too.

        Raises
        ------
        ValueError
            If the file is no zip, a part is missing, there twice or unreadable, or the parts disagree.
        """
        try:
            content = read_tvb_zip(path)
            return cls(content.weights, content.tract_lengths, content.names, content.centres)
        except (ValueError, BadZipFile, zlib.error) as error:
            raise ValueError(f"{path}: expected a connectivity in TVB's zip format; {error}") from error

    @classmethod
    def synthetic(
        cls, n_regions: int, seed: int = 0, centres: ArrayLike | None = None,
        names: Iterable[str] | None = None,
    ) -> Connectome:  # fmt: skip
        """Make up a plausible human connectome, the same for the same seed.

        Centres (x right, y front, z up; origin in the middle) are spread evenly over two mirrored
        half-ellipsoids, the left one first; it has the odd region. Every pair is linked, both ways alike, and
        none with itself: log-normally scattered weights, decaying exponentially with distance, stronger
        between mirrored regions; the largest is 1. Tracts exceed the distance by a constant factor. It knows
        no lobes, no bundles and no absent links: for results about the brain, take a measured connectome.

        Parameters
        ----------
        n_regions
            Number of regions.
        seed
            Seed of the random weights.
        centres, names
            Centres of the regions, mm, shape (n_regions, 3), and their names, such as those of
            ``jrflow.Parcels``; by default those described above. Two regions are mirrored if each is the
            nearest to the mirror image of the other.

        Source of the law: Ercsey-Ravasz et al. 2013, Neuron 80:184 (macaque); Rosen & Halgren 2021, eNeuro
        8(1):0416-20 (human, with its strong homologous links); of its numbers: the top of this module.

        Raises
        ------
        ValueError
            If ``n_regions`` is not a whole number of at least 1.
        """
        n_regions, seed = whole("n_regions", n_regions, 1), whole("seed", seed, 0)
        n_left = (int(n_regions) + 1) // 2
        if centres is None:
            left = _left_hemisphere(n_left)
            centres = np.concatenate([left, left[: n_regions - n_left] * (-1, 1, 1)])
            mirrored = np.eye(n_regions, k=n_left) + np.eye(n_regions, k=-n_left)
        else:
            centres = _array("centres", centres, (n_regions, 3))
            mirrored = _mirrored(centres)
        if names is None:
            both = [f"{side}-{k:0{len(str(n_left - 1))}}" for side in ("lh", "rh") for k in range(n_left)]
            names = both[:n_regions]
        distance = np.linalg.norm(centres[:, None] - centres, axis=-1)
        scatter = np.triu(np.random.default_rng(seed).standard_normal(distance.shape), 1)
        weights = np.exp(_LOG_SD * (scatter + scatter.T) - _DECAY * distance)
        weights *= 1 + (_HOMOLOGOUS - 1) * mirrored
        np.fill_diagonal(weights, 0.0)
        return cls(weights, _TORTUOSITY * distance, names, centres).normalised("max")


def _mirrored(centres: np.ndarray) -> np.ndarray:
    """Pairs of regions of which each is the nearest to the other's mirror image, (n_regions, n_regions)."""
    away = np.linalg.norm(centres[:, None] - centres * (-1, 1, 1), axis=-1)
    nearest = away.argmin(axis=1)
    pairs = np.zeros(away.shape)
    k = np.flatnonzero((nearest[nearest] == np.arange(len(centres))) & (nearest != np.arange(len(centres))))
    pairs[k, nearest[k]] = 1
    return pairs


def _left_hemisphere(n: int) -> np.ndarray:
    """Put a Fibonacci lattice on half an ellipsoid, the midline first; shape (n, 3), mm."""
    lateral = (np.arange(n) + 0.5) / n  # equal steps along its axis cut a sphere into equal areas
    angle, ring = np.pi * (3 - 5**0.5) * np.arange(n), np.sqrt(1 - lateral**2)
    x = -(_MIDLINE + (_SEMI_AXES[0] - _MIDLINE) * lateral)
    return np.column_stack([x, _SEMI_AXES[1] * ring * np.cos(angle), _SEMI_AXES[2] * ring * np.sin(angle)])


def _array(what: str, values: ArrayLike, shape: tuple[int, ...] = (), least: float = -np.inf) -> np.ndarray:
    """Copy into a read-only array; without a shape it must be square, and not empty."""
    try:
        array = np.array(values, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: expected rows of numbers, all of one length; {error}") from error
    n = max(1, len(array)) if array.ndim else 1
    if array.shape != (shape or (n, n)):
        expected = f"the shape {shape}" if shape else "one row and one column a region"
        raise ValueError(f"{what}: expected {expected}, received the shape {array.shape}")
    for i, j in np.argwhere(~(np.isfinite(array) & (array >= least))):
        expected = "finite numbers" if np.isinf(least) else f"finite numbers of at least {least:g}"
        raise ValueError(f"{what}: expected {expected}, received {array[i, j]} at [{i}, {j}]")
    return _read_only(array)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def _restored(
    cls: type[Connectome], weights: np.ndarray, tract_lengths: np.ndarray | None, names: tuple[str, ...],
    centres: np.ndarray | None,
) -> Connectome:  # fmt: skip
    """Unpickle: a pickled array forgets that it is read-only. What was checked is not checked again."""
    connectome = object.__new__(cls)
    arrays = {"weights": weights, "tract_lengths": tract_lengths, "centres": centres}
    connectome._set(**{k: None if v is None else _read_only(v) for k, v in arrays.items()}, names=names)
    return connectome


def _names(names: Iterable[str] | None, n: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"region-{k:0{len(str(n - 1))}}" for k in range(n))
    received = (names,) if isinstance(names, str) else tuple(names)
    if len(received) != n:
        raise ValueError(f"names: expected one for each of {n} regions, received {len(received)}")
    for name in received:
        if not isinstance(name, str) or not name.strip() or received.count(name) > 1:
            raise ValueError(f"names: expected strings, none empty and no two alike, received {name!r}")
    return tuple(str(name) for name in received)
