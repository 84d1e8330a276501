"""Plausible ranges of all quantities with a unit: a value outside was most likely given in another unit.

An implausible value is possible, and is used as it is given; the user gets one warning that names the likely
unit. Impossible values (a negative gain, a step of 0) are errors, elsewhere.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from jrflow.model import MODEL


class PlausibilityWarning(UserWarning):
    """A value is possible but implausible in its unit, or the step is too long for some simulations."""


@dataclass(frozen=True)
class Range:
    """Plausible values of one quantity; 0 is plausible if ``zero`` is true."""

    unit: str
    low: float
    high: float
    zero: bool = False


#: Plausible values of quantities that are not parameters of the model.
QUANTITIES: Mapping[str, Range] = {
    "isi": Range("s", 5e-3, 30.0),
    "stim_duration": Range("s", 1e-4, 10.0, zero=True),
    "stim_rate": Range("1/s", 1.0, 1e4, zero=True),
    "tmin": Range("s", 1e-3, 10.0, zero=True),  # of its size: it is negative
    "tmax": Range("s", 1e-3, 30.0),
    "transient": Range("s", 1e-3, 100.0, zero=True),
    "duration": Range("s", 1e-2, 3600.0),
    "background": Range("1/s", 1.0, 1e4, zero=True),
    "noise_sd": Range("1/s", 0.1, 1e5, zero=True),
    "dt": Range("s", 1e-6, 1e-2),
    "sfreq": Range("Hz", 10.0, 1e5),
    "max_source": Range("mV", 1.0, math.inf),
    "tract_lengths": Range("mm", 5.0, 500.0),
    "position": Range("mm", 12.0, 200.0),
    "extent": Range("mm", 1.0, 100.0),
}

#: Median length of a tract over the distance of its regions: 1.4 in measured connectomes.
_SHORTEST, _LONGEST = 0.3, 5.0
#: Rate that a region receives from the others at most, 1/s: a background input is some hundred.
_MOST_RECEIVED = 1e4

#: Other units in which a quantity is often given, and their size in the unit expected here.
_ELSEWHERE: Mapping[str, tuple[tuple[str, float], ...]] = {
    "mV": (("V", 1e3), ("uV", 1e-3)),
    "1/s": (("1/ms", 1e3),),
    "1/mV": (("1/V", 1e-3),),
    "s": (("ms", 1e-3), ("us", 1e-6)),
    "Hz": (("kHz", 1e3),),
    "mm": (("m", 1e3), ("cm", 10.0), ("um", 1e-3)),
    "m/s": (("mm/s", 1e-3), ("km/s", 1e3)),
    "nA m/mV": (("A m/V", 1e6), ("nA m/V", 1e-3), ("A m/mV", 1e9)),
    "1": (("percent", 1e-2),),
}


def remark(name: str, values: Any, what: str | None = None) -> str | None:
    """Describe an implausible value of a quantity; None if all values are plausible.

    Parameters
    ----------
    name
        A parameter's symbol or a name of ``QUANTITIES``.
    values
        A number or numbers, in the quantity's unit. Their sizes count, not their signs.
    what
        Name of the quantity in the message, if it differs.
    """
    expected = range_of(name)
    sizes = np.abs(np.asarray(values, np.float64)).ravel()
    sizes = sizes[np.isfinite(sizes) & ~((sizes == 0) & expected.zero)]
    odd = sizes[(sizes < expected.low) | (sizes > expected.high)]
    if not len(odd):
        return None
    unit = "" if expected.unit == "1" else f" {expected.unit}"
    message = f"{what or name}: {odd[0]:g}{unit} is hardly plausible (expected {_spoken(expected)}{unit})"
    return f"{message}; {_likely(expected, float(odd[0]))}"


def range_of(name: str) -> Range:
    """Plausible values of a parameter or another quantity."""
    if name in MODEL.space:
        parameter = MODEL.space[name]
        return Range(parameter.unit, *parameter.plausible, zero=bool(parameter.bounds.contains(0.0)))
    return QUANTITIES[name]


def of_quantities(values: Mapping[str, Any]) -> list[str]:
    """Describe implausible values by name, such as those of a protocol; ignore unknown names."""
    return [said for name in QUANTITIES if name in values and (said := remark(name, values[name]))]


def of_lengths(
    weights: np.ndarray, tract_lengths: np.ndarray | None, centres: np.ndarray | None
) -> list[str]:
    """Describe implausible tract lengths (mm) of linked regions, also compared with the centres (mm)."""
    linked = (weights != 0) & ~np.eye(len(weights), dtype=bool)
    if tract_lengths is None or not linked.any():
        return []
    lengths = tract_lengths[linked]
    if said := remark("tract_lengths", lengths.max(), "the longest of tract_lengths"):
        return [said]
    if centres is None:
        return []
    distances = np.linalg.norm(centres[:, None] - centres, axis=-1)[linked]
    apart = (distances > 0) & (lengths > 0)
    ratio = float(np.median(lengths[apart] / distances[apart])) if apart.any() else 1.0
    if _SHORTEST <= ratio <= _LONGEST:
        return []
    return [
        f"tract_lengths: the median tract is {ratio:.2g} times as long as the distance of its regions "
        f"(expected {_SHORTEST:g}..{_LONGEST:g}): tract_lengths and centres are probably in different units; "
        "give both in mm"
    ]


def of_coupling(weights: np.ndarray, G: np.ndarray, largest_rate: np.ndarray) -> list[str]:
    """Describe an implausible rate (1/s) that a region may receive from the others."""
    with np.errstate(over="ignore"):
        most = float(np.abs(weights).sum(axis=1).max() * G.max() * largest_rate.max())
    if most <= _MOST_RECEIVED:
        return []
    return [
        f"weights: a region may receive {most:.2g} /s from the others (expected at most {_MOST_RECEIVED:g} "
        "/s, beyond which its sigmoids saturate): normalise the weights "
        "(connectome.normalised('in-strength')), or lower G"
    ]


def warn(remarks: Iterable[str | None], stacklevel: int = 3) -> None:
    """Give each remark as a :class:`PlausibilityWarning` that points at the caller's caller."""
    for said in remarks:
        if said:
            warnings.warn(said, PlausibilityWarning, stacklevel=stacklevel)


@contextmanager
def unremarked() -> Iterator[None]:
    """Give no :class:`PlausibilityWarning`: for simulations of values that no user chose, as a sampler's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlausibilityWarning)
        yield


def _spoken(expected: Range) -> str:
    if math.isinf(expected.high):
        return f"at least {expected.low:g}"
    return f"{expected.low:g}..{expected.high:g}"


def _likely(expected: Range, size: float) -> str:
    """Name the unit in which a value would be plausible."""
    for unit, factor in _ELSEWHERE.get(expected.unit, ()):
        if expected.low <= size * factor <= expected.high:
            instead = f"give {size * factor:g}" + (f" {expected.unit}" if expected.unit != "1" else "")
            return f"is it in {unit}? Then {instead}"
    return "check the value and its unit"
