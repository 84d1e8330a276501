"""Parameters of what surrounds a neural mass, whichever it is: the network."""

from __future__ import annotations

import math

from jrflow.space.parameters import NOT_NEGATIVE, Bounds, Parameter

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
