"""Which simulations are run: priors and the designs drawn from them."""

from jrflow.design.priors import Prior
from jrflow.design.samplers import REPLICATES, make_design

__all__ = ["REPLICATES", "Prior", "make_design"]
