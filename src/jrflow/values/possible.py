"""Which values a parameter can have: names, shapes, kinds of numbers, bounds."""

from __future__ import annotations

import numpy as np

from jrflow.model import MODEL


def require_possible(name: str, value: np.ndarray, n_regions: int | None) -> None:
    """Check the values of one parameter.

    Parameters
    ----------
    name
        Name of the parameter.
    value
        Shape (), (n_sims,) or (n_sims, n_regions).
    n_regions
        Regions of the network; None for a column alone.

    Raises
    ------
    ValueError
        If there is anything wrong; the message names the parameter, the value and its position.
    """
    if name in MODEL.network and n_regions is None:
        raise ValueError(f"parameter {name!r} belongs to a network: give a connectome, or leave it out")
    _require_shape(name, value, n_regions)
    _require_numbers(name, value)
    parameter = MODEL.space[name]
    possible, expected = parameter.bounds.contains(value), parameter.bounds.described(parameter.unit)
    if not possible.all():
        where = tuple(int(k) for k in np.argwhere(~np.atleast_1d(possible))[0])
        place = where[0] if len(where) == 1 else where
        raise ValueError(
            f"parameter {name!r}: expected {expected}, received {np.atleast_1d(value)[where]} at position "
            f"{place} ({(~possible).sum()} such values)"
        )


def _require_numbers(name: str, value: np.ndarray) -> None:
    if np.issubdtype(value.dtype, np.integer) or np.issubdtype(value.dtype, np.floating):
        return
    kinds = {"b": "truth values", "O": "objects (missing values among them?)", "U": "text", "S": "text"}
    received = kinds.get(value.dtype.kind, str(value.dtype))
    raise ValueError(f"parameter {name!r}: expected real numbers, received {received}")


def _require_shape(name: str, value: np.ndarray, n_regions: int | None) -> None:
    per_region = "region" in MODEL.space[name].dims and n_regions is not None
    if value.size == 0 or value.ndim > (2 if per_region else 1):
        expected = "a number or one value per simulation"
        if per_region:
            expected += f", or shape (n_sims, {n_regions}) for values per region"
        raise ValueError(f"parameter {name!r}: expected {expected}, received shape {value.shape}")
    if value.ndim == 2 and value.shape[1] != n_regions:
        raise ValueError(
            f"parameter {name!r}: expected {n_regions} regions, as the connectome has, received shape "
            f"{value.shape}"
        )
