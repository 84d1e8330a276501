"""Units that come with values: they must be the parameter's own."""

from __future__ import annotations

import re
from typing import Any

from jrflow.model import MODEL

#: Spellings of the model's units, without spaces and case.
_SPELLINGS = {
    "mV": {"mv", "millivolt", "millivolts"},
    "1/s": {"1/s", "s-1", "s^-1", "s**-1", "hz", "hertz", "1/second"},
    "1/mV": {"1/mv", "mv-1", "mv^-1", "mv**-1", "1/millivolt"},
    "m/s": {"m/s", "ms-1", "m.s-1", "m*s^-1", "m*s**-1", "meter/second", "metre/second"},
    "s": {"s", "sec", "second", "seconds"},
    "1": {"1", "", "dimensionless", "none", "unitless"},
}


def require_unit(name: str, value: Any) -> None:
    """Check the unit that a value carries, as ``attrs["units"]`` or as a quantity of pint or astropy does.

    Raises
    ------
    ValueError
        If it is not the parameter's.
    """
    received = _unit_of(value)
    expected = MODEL.space[name].unit
    if received is None or received == expected:
        return
    if re.sub(r"\s", "", received).lower() not in _SPELLINGS.get(expected, ()):
        raise ValueError(
            f"parameter {name!r}: expected values in {expected}, received values in {received!r}; "
            "convert them"
        )


def _unit_of(value: Any) -> str | None:
    attrs = getattr(value, "attrs", None)
    if isinstance(attrs, dict):
        unit = attrs.get("units", attrs.get("unit"))
    else:
        unit = getattr(value, "units", getattr(value, "unit", None))
    return None if unit is None or callable(unit) else str(unit)
