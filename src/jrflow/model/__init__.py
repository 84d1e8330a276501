"""Simulation of neural mass models: arrays in, arrays out."""

from jrflow.model.jansen_rit import JANSEN_RIT as MODEL

__all__ = ["MODEL"]
