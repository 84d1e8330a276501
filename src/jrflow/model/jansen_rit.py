"""The Jansen-Rit model's one table: parameters, states, source, degeneracy and presets.

The kernel, the priors, the archive's coordinates and the report all read names, units and ranges from here.
The equations are in :mod:`jrflow.model.equations`.
"""

from __future__ import annotations

from jrflow.model.environment import INPUT, NETWORK, OBSERVATION
from jrflow.model.neural_mass import NeuralMass, Preset, Quantity
from jrflow.space.parameters import POSITIVE, Degeneracy, Parameter, ParameterSpace, Product

_JR95 = "Jansen & Rit 1995, Biol. Cybern. 73:357"
_PAPER = "Tilwani & O'Reilly, arXiv 2406.05002"
#: The paper varies the contact probabilities by half around their defaults.
_HALF = 0.5


def _of_mass(
    name: str, unit: str, default: float, long_name: str, plausible: tuple[float, float],
    published: tuple[float, float] | None = None,
) -> Parameter:  # fmt: skip
    source = _JR95 if published is None else f"{_JR95}; range {_PAPER}"
    return Parameter(
        name, unit, long_name, default, "mass", POSITIVE, plausible, source, ("region",), published
    )


def _contact(k: int, default: float, long_name: str) -> Parameter:
    ends = default * (1 - _HALF), default * (1 + _HALF)
    return _of_mass(f"a_{k}", "1", default, f"contact probability, {long_name}", (1e-3, 10.0), ends)


_MASS = (
    _of_mass("A_e", "mV", 3.25, "excitatory synaptic gain", (0.1, 100.0), (2.6, 9.75)),
    _of_mass("A_i", "mV", 22.0, "inhibitory synaptic gain", (1.0, 1e3), (17.6, 110.0)),
    _of_mass("b_e", "1/s", 100.0, "inverse excitatory time constant", (2.0, 1e3), (50.0, 150.0)),
    _of_mass("b_i", "1/s", 50.0, "inverse inhibitory time constant", (2.0, 1e3), (25.0, 75.0)),
    _of_mass("C", "1", 135.0, "average number of synapses", (1.0, 1e5), (65.0, 1350.0)),
    _contact(1, 1.0, "pyramidal to excitatory"),
    _contact(2, 0.8, "excitatory to pyramidal"),
    _contact(3, 0.25, "pyramidal to inhibitory"),
    _contact(4, 0.25, "inhibitory to pyramidal"),
    _of_mass("v_max", "1/s", 5.0, "maximum firing rate", (0.01, 1e3)),
    _of_mass("v_0", "mV", 6.0, "potential at half the maximum firing rate", (0.1, 100.0), (3.12, 6.0)),
    # The lower plausible end admits the preset 'as-published'.
    _of_mass("r", "1/mV", 0.56, "slope of the sigmoid", (1e-4, 10.0)),
)

#: C enters the equations only as C * a_k. The excitatory population receives the pyramidal potential times
#: C_1, and that potential is proportional to A_e: the gain that enters the same loop as C_1.
_DEGENERACY = Degeneracy(
    "C",
    tuple(
        Product(f"C_{k}", f"a_{k}", gain, "1", f"number of synapses, {where}")
        for k, gain, where in (
            (1, "A_e", "pyramidal to excitatory"),
            (2, "A_e", "excitatory to pyramidal"),
            (3, "A_e", "pyramidal to inhibitory"),
            (4, "A_i", "inhibitory to pyramidal"),
        )
    ),
)


def _defaults(**changed: float) -> dict[str, float]:
    return {p.name: p.default for p in _MASS} | changed


_PRESETS = (
    Preset("unit-consistent", _defaults(), "exp-ab4", "millivolts throughout"),
    Preset(
        "as-published",
        # The public code keeps potentials in volts with r = 0.56 per millivolt, and v_max = 0.05;
        # expressed in this table's units the slope is a thousand times flatter.
        _defaults(r=0.56e-3, v_max=0.05),
        "euler",
        "what the paper's public code computes: volts against a slope per millivolt",
        "In the as-published preset potentials are in volts while the slope of the sigmoid is per millivolt: "
        "the sigmoids sit flat at half height, the loops carry nothing, and no method can find C or the "
        "contact probabilities in the response.",
    ),
    Preset("jansen-rit-1995", _defaults(), "exp-ab4", "the 1995 model, driven by background input"),
)

JANSEN_RIT = NeuralMass(
    name="Jansen-Rit",
    description="one column of pyramidal cells, excitatory and inhibitory interneurons",
    reference=_PAPER,
    references="Jansen & Rit (1995), doi:10.1007/BF00199471; Tilwani & O'Reilly, arXiv:2406.05002",
    space=ParameterSpace((*_MASS, *NETWORK, *INPUT, *OBSERVATION), _DEGENERACY),
    # The nine parameters that the paper infers, in its order.
    inferred=("A_e", "A_i", "b_e", "b_i", "C", "a_1", "a_2", "a_3", "a_4"),
    states=(
        Quantity("y0", "mV", "potential by pyramidal cells"),
        Quantity("y1", "mV", "excitatory potential of the pyramidal cells"),
        Quantity("y2", "mV", "inhibitory potential of the pyramidal cells"),
    ),
    source=Quantity("y1 - y2", "mV", "source activity y1 - y2"),
    inverse_time_constants=("b_e", "b_i"),
    largest_rate="v_max",
    presets={p.name: p for p in _PRESETS},
)
