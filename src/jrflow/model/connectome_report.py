"""What is remarkable about a connectome, in words."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from jrflow.model.connectome import Connectome

#: Conduction speeds for which delays are listed, m/s.
_SPEEDS = (3.0, 10.0)
#: Relative difference of mirrored weights below which they count as equal.
_EQUAL = 1e-6


def describe(connectome: Connectome) -> list[tuple[str, str]]:
    """Properties of a connectome as pairs of a name and a value.

    Values contain remarks where something is unusual: asymmetric or negative weights, links of regions with
    themselves, regions without links, parts that are not linked, and links of length 0.
    """
    weights, n = connectome.weights, connectome.n_regions
    linked = weights != 0
    rows = [
        ("regions", f"{n} ({connectome.names[0]}, ...)" if n > 1 else connectome.names[0]),
        ("links", f"{linked.sum():,} of {n * n:,} (density {connectome.density:.2f})"),
        ("direction", "weights[i, j] is the link to region i from region j"),
        ("weights", _range(weights[linked])),
        ("received by a region", _range(weights.sum(axis=1)) + " (sum of its row)"),
        ("sent by a region", _range(weights.sum(axis=0)) + " (sum of its column)"),
        ("symmetry", _symmetry(weights)),
    ]
    if (weights < 0).any():
        rows.append(("negative weights", f"{(weights < 0).sum():,}: these links inhibit"))
    if (own := np.diagonal(weights) != 0).any():
        rows.append(("links with itself", f"{own.sum()} regions, in addition to the loops of the column"))
    rows.append(("connectedness", _connectedness(linked, connectome.names)))
    return rows + _lengths(connectome, linked) + _places(connectome)


def _range(values: np.ndarray) -> str:
    if not values.size:
        return "none"
    return f"{values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g}"


def _symmetry(weights: np.ndarray) -> str:
    size = np.abs(weights).max(initial=0.0)
    difference = np.abs(weights - weights.T).max(initial=0.0)
    if difference <= _EQUAL * size:
        return "symmetric"
    return (
        f"not symmetric (largest difference {difference:.3g}): make sure that rows receive; if they send in "
        "your file, transpose it"
    )


def _connectedness(linked: np.ndarray, names: tuple[str, ...]) -> str:
    n_parts, part = connected_components(csr_array(linked), directed=True, connection="weak")
    alone = np.flatnonzero(~linked.any(axis=0) & ~linked.any(axis=1))
    remarks = []
    if n_parts > 1:
        sizes = np.sort(np.bincount(part))[::-1]
        listed = ", ".join(map(str, sizes[:5])) + (", ..." if n_parts > 5 else "")
        remarks.append(f"{n_parts} parts that are not linked ({listed} regions)")
    if len(alone):
        remarks.append(f"{len(alone)} regions without any link, such as {names[alone[0]]!r}")
    deaf = np.flatnonzero(~linked.any(axis=1) & linked.any(axis=0))
    if len(deaf):
        remarks.append(f"{len(deaf)} regions that receive nothing, such as {names[deaf[0]]!r}")
    return "; ".join(remarks) or "connected"


def _lengths(connectome: Connectome, linked: np.ndarray) -> list[tuple[str, str]]:
    lengths = connectome.tract_lengths
    if lengths is None:
        return [("tract lengths", "none: nothing can be delayed")]
    of_links = lengths[linked & ~np.eye(len(lengths), dtype=bool)]
    rows = [("tract lengths, mm", _range(of_links))]
    if (of_links == 0).any():
        rows.append(("links of length 0", f"{(of_links == 0).sum():,}: they have no delay"))
    if of_links.size:
        delays = ", ".join(f"{of_links.max() / speed:.3g} ms at {speed:g} m/s" for speed in _SPEEDS)
        rows.append(("longest delay", delays))
    return rows


def _places(connectome: Connectome) -> list[tuple[str, str]]:
    if connectome.centres is None:
        return [("centres", "none: gradients and lead fields need them")]
    low, high = connectome.centres.min(axis=0), connectome.centres.max(axis=0)
    ends = ", ".join(f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("xyz", low, high, strict=True))
    return [("centres, mm", ends)]
