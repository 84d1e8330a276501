"""Parameters of the Jansen-Rit model and the presets that fix their defaults.

One table serves everybody: the kernel, the priors, the archive's coordinates and the report all
read names, units and ranges from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from jrflow.model.arguments import chosen

#: Published range of every quantity that the paper varies by half around its default.
_HALF = 0.5


@dataclass(frozen=True)
class Parameter:
    """One scalar parameter of a cortical column.

    ``low`` and ``high`` bound the published range; ``None`` where the paper keeps it fixed. ``plausible``
    bounds the values that are believable in this unit: beyond them a value is possible, but most likely given
    in another unit (``jrflow.model.plausible``).
    """

    symbol: str
    unit: str
    default: float
    long_name: str
    source: str
    plausible: tuple[float, float]
    low: float | None = None
    high: float | None = None


_JR95 = "Jansen & Rit 1995, Biol. Cybern. 73:357"
_PAPER = "Tilwani & O'Reilly, arXiv 2406.05002"


def _contact(k: int, default: float, long_name: str) -> Parameter:
    low, high = default * (1 - _HALF), default * (1 + _HALF)
    return Parameter(f"a_{k}", "1", default, long_name, f"{_JR95}; range {_PAPER}", (1e-3, 10.0), low, high)


_JR95_AND_RANGE = f"{_JR95}; range {_PAPER}"
_TABLE = (
    Parameter("A_e", "mV", 3.25, "excitatory synaptic gain", _JR95_AND_RANGE, (0.1, 100.0), 2.6, 9.75),
    Parameter("A_i", "mV", 22.0, "inhibitory synaptic gain", _JR95_AND_RANGE, (1.0, 1e3), 17.6, 110.0),
    Parameter(
        "b_e", "1/s", 100.0, "inverse excitatory time constant", _JR95_AND_RANGE, (2.0, 1e3), 50.0, 150.0
    ),
    Parameter(
        "b_i", "1/s", 50.0, "inverse inhibitory time constant", _JR95_AND_RANGE, (2.0, 1e3), 25.0, 75.0
    ),
    Parameter("C", "1", 135.0, "average number of synapses", _JR95_AND_RANGE, (1.0, 1e5), 65.0, 1350.0),
    _contact(1, 1.0, "contact probability, pyramidal to excitatory"),
    _contact(2, 0.8, "contact probability, excitatory to pyramidal"),
    _contact(3, 0.25, "contact probability, pyramidal to inhibitory"),
    _contact(4, 0.25, "contact probability, inhibitory to pyramidal"),
    Parameter("v_max", "1/s", 5.0, "maximum firing rate", _JR95, (0.01, 1e3)),
    Parameter(
        "v_0",
        "mV",
        6.0,
        "potential at half the maximum firing rate",
        _JR95_AND_RANGE,
        (0.1, 100.0),
        3.12,
        6.0,
    ),
    # The lower bound admits the preset 'as-published'.
    Parameter("r", "1/mV", 0.56, "slope of the sigmoid", _JR95, (1e-4, 10.0)),
)

PARAMETERS: Mapping[str, Parameter] = {p.symbol: p for p in _TABLE}

#: Parameters of a network: one value for all of its regions.
NETWORK_PARAMETERS: Mapping[str, Parameter] = {
    p.symbol: p
    for p in (
        Parameter("G", "1", 1.0, "global coupling", "scales the connectome's weights", (0.0, math.inf)),
        Parameter(
            "speed",
            "m/s",
            math.inf,
            "conduction speed; infinite for no delays",
            "delay = tract length / speed",
            (0.1, 200.0),
        ),
    )
}
ALL_PARAMETERS: Mapping[str, Parameter] = {**PARAMETERS, **NETWORK_PARAMETERS}

#: The nine parameters that the paper infers, in its order.
INFERRED: tuple[str, ...] = ("A_e", "A_i", "b_e", "b_i", "C", "a_1", "a_2", "a_3", "a_4")

#: C enters the equations only as C * a_k, so these four products are what data can determine.
PRODUCTS: tuple[str, ...] = ("C_1", "C_2", "C_3", "C_4")


@dataclass(frozen=True)
class Preset:
    """Defaults of one published way to write the model, and the solver that goes with it."""

    name: str
    defaults: Mapping[str, float]
    solver: str
    description: str


def _defaults(**changed: float) -> dict[str, float]:
    return {symbol: p.default for symbol, p in PARAMETERS.items()} | changed


PRESETS: Mapping[str, Preset] = {
    p.name: p
    for p in (
        Preset("unit-consistent", _defaults(), "exp-ab4", "millivolts throughout"),
        Preset(
            "as-published",
            # The public code keeps potentials in volts with r = 0.56 per millivolt, and v_max = 0.05;
            # expressed in this table's units the slope is a thousand times flatter.
            _defaults(r=0.56e-3, v_max=0.05),
            "euler",
            "what the paper's public code computes: volts against a slope per millivolt",
        ),
        Preset("jansen-rit-1995", _defaults(), "exp-ab4", "the 1995 model, driven by background input"),
    )
}


def preset(name: str) -> Preset:
    """Look a preset up by name.

    Raises
    ------
    ValueError
        If there is no such preset; the message lists those there are.
    """
    return PRESETS[chosen("preset", name, PRESETS)]
