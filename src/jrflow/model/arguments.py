"""Checks of single arguments, with messages that say what was expected and what was received."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import numpy as np
from pydantic import ValidationError


class ArgumentTypeError(TypeError, ValueError):
    """An argument of a wrong type; code that catches ``ValueError`` for a bad argument catches it, too."""


def described(value: Any) -> str:
    """A value as a message shows it: short, with its type where that says more."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    if isinstance(value, bool | int | float | str | np.generic | type(None)):
        return reprlib.repr(value.item() if isinstance(value, np.generic) else value)
    return f"{reprlib.repr(value)} ({type(value).__name__})"


def chosen(what: str, value: Any, known: Iterable[str]) -> str:
    """Return a name if it is known.

    Raises
    ------
    ValueError
        If it is not; the message lists the known names and suggests the closest.
    """
    names = list(known)
    if isinstance(value, str) and value in names:
        return value
    expected = f"expected one of {', '.join(names)}"
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{what}: {expected}, received {described(value)}")
    close = get_close_matches(value, names, n=1, cutoff=0.6)
    suggestion = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"unknown {what} {value!r}: {expected}{suggestion}")


def number(
    what: str, value: Any, expected: str, *, above: float = -math.inf, least: float = -math.inf,
    below: float = math.inf, infinite: bool = False,
) -> float:  # fmt: skip
    """Return a real number as a float, if it is within its bounds.

    Parameters
    ----------
    what
        Name of the argument.
    value
        What was given.
    expected
        The numbers that are possible, with their unit, for the message.
    above, least, below
        Exclusive lower, inclusive lower and exclusive upper bound.
    infinite
        Whether infinity is possible.

    Raises
    ------
    ValueError
        If it is no number, NaN, or out of bounds.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise ArgumentTypeError(f"{what}: expected {expected}, received {described(value)}")
    try:
        result = float(value)
    except OverflowError:  # a Python int beyond the range of doubles
        result = math.inf
    if not (result > above and result >= least and (result < below or (infinite and result == math.inf))):
        raise ValueError(f"{what}: expected {expected}, received {described(value)}")
    return result


def whole(what: str, value: Any, least: int, most: int | None = None) -> int:
    """Return a whole number of at least ``least`` and at most ``most``.

    Raises
    ------
    ValueError
        If it is no whole number (a boolean is none), or out of bounds.
    """
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    expected = f"{what}: expected a whole number {bounds}, received {described(value)}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise ArgumentTypeError(expected)
    if value < least or (most is not None and value > most):
        raise ValueError(expected)
    return int(value)


def faults_of(error: ValidationError, name: str) -> str:
    """Errors that pydantic found in the arguments of ``name``, in this project's words."""
    return "; ".join(_fault(one, name) for one in error.errors(include_url=False))


def _fault(error: Any, name: str) -> str:
    """One fault: which argument, what was expected, what was received."""
    place = ".".join(str(part) for part in error["loc"])
    if "unexpected" in error["type"]:
        return f"{name} has no argument {place!r}"
    if error["type"] == "value_error":
        said = str(error["ctx"]["error"])
    else:
        expected = error["msg"].replace("Input should be", "expected")
        for comparison in ("greater", "less"):
            expected = expected.replace(f"expected {comparison}", f"expected a number {comparison}")
        said = f"{expected}, received {described(error['input'])}"
    return f"{place}: {said}" if place else said
