"""Which simulations are run: priors and the designs drawn from them."""

from jrflow.design.priors import Prior
from jrflow.design.samplers import make_design

__all__ = ["Prior", "make_design"]
