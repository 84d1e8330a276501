"""Labels of matrices over regions: a pandas DataFrame or an xarray DataArray is aligned by its labels.

The model imports neither of the two libraries; it only looks for what they have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: The one region of an uncoupled column.
COLUMN = "column"


def axis_labels(values: Any) -> list[list[str] | None]:
    """Labels of each axis of a matrix; None where an axis has none, or has numbers.

    Returns
    -------
    One entry an axis; empty for what carries no labels at all.
    """
    if hasattr(values, "columns") and hasattr(values, "index"):
        axes = [values.index, values.columns]
    elif hasattr(values, "dims") and hasattr(values, "coords"):
        axes = [values.coords[dim].values if dim in values.coords else None for dim in values.dims]
    else:
        return []
    return [None if axis is None else _text(list(axis)) for axis in axes]


def names_of(values: Any) -> list[str] | None:
    """Names of the regions that the rows of a matrix carry; None where they carry none."""
    labels = axis_labels(values)
    return labels[0] if labels else None


def aligned(names: Sequence[str], weights: Any, tract_lengths: Any, centres: Any) -> tuple[Any, Any, Any]:
    """Bring matrices into the order of the regions; what has no labels stays as it is.

    Raises
    ------
    ValueError
        If labels are not the names of the regions.
    """
    wanted = [str(name) for name in names]
    return (
        _aligned("weights", weights, wanted, 2),
        _aligned("tract_lengths", tract_lengths, wanted, 2),
        _aligned("centres", centres, wanted, 1),
    )


def _aligned(what: str, values: Any, names: list[str], n_axes: int) -> Any:
    labels = axis_labels(values)[:n_axes]
    if not any(labels):
        return values
    array = np.asarray(values)
    for axis, own in enumerate(labels):
        if own is None:
            continue
        if sorted(own) != sorted(names):
            odd = sorted(set(own) ^ set(names)) or sorted(own)
            raise ValueError(
                f"{what}: its labels are not the names of the regions: {odd[0]!r} is only in one of them, or "
                "occurs several times"
            )
        array = np.take(array, [own.index(name) for name in names], axis=axis)
    return array


def _text(labels: list[Any]) -> list[str] | None:
    return [str(label) for label in labels] if labels and all(isinstance(x, str) for x in labels) else None
