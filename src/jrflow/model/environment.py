"""Parameters of what surrounds a neural mass, whichever it is: network, input and observation."""

from __future__ import annotations

import math

from jrflow.space.parameters import NOT_NEGATIVE, POSITIVE, Bounds, Parameter

NETWORK = (
    Parameter(
        "G", "1", "global coupling", 1.0, "network", NOT_NEGATIVE, (0.0, math.inf),
        "scales the connectome's weights",
    ),
    Parameter(
        "speed", "m/s", "conduction speed; infinite for no delays", math.inf, "network",
        Bounds(0.0, infinite="no delays"), (0.1, 200.0), "delay = tract length / speed",
    ),
)  # fmt: skip

#: A protocol has one value for all simulations; what is given under the parameter's name takes its place.
INPUT = (
    Parameter(
        "p", "1/s", "background input, mean", 0.0, "input", NOT_NEGATIVE, (1.0, 1e4),
        "Jansen & Rit 1995, Biol. Cybern. 73:357: 120 to 320 at rest", ("region",),
    ),
    Parameter(
        "p_sd", "1/s", "background input, standard deviation when held for 1 ms", 0.0, "input", NOT_NEGATIVE,
        (0.1, 1e5), "Jansen & Rit 1995, Biol. Cybern. 73:357", ("region",),
    ),
    Parameter(
        "stim_rate", "1/s", "firing rate of the stimulus during a pulse", 60.0, "input", NOT_NEGATIVE,
        (1.0, 1e4), "Tilwani & O'Reilly, arXiv 2406.05002", ("region",),
    ),
    Parameter(
        "stim_latency", "s", "time from the onset to the pulse", 0.0, "input", NOT_NEGATIVE, (1e-4, 10.0),
        "Tilwani & O'Reilly, arXiv 2406.05002: no latency", ("region",),
    ),
    Parameter(
        "stim_duration", "s", "length of a pulse", 0.05, "input", NOT_NEGATIVE, (1e-4, 10.0),
        "Tilwani & O'Reilly, arXiv 2406.05002", ("region",),
    ),
)  # fmt: skip

OBSERVATION = (
    Parameter(
        "moment", "nA m/mV", "dipole moment of a patch for each mV of its source", 13.0, "observation",
        POSITIVE, (1e-2, 1e3), "Tilwani & O'Reilly, arXiv 2406.05002",
    ),
)  # fmt: skip
