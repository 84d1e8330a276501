"""Parameter values as they are given: labelled, checked, and completed by a preset's defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jrflow.model import MODEL
from jrflow.model.neural_mass import Preset
from jrflow.model.plausible import remark
from jrflow.values.labels import Parameters, labelled
from jrflow.values.possible import require_possible

__all__ = ["Parameters", "Values"]


@dataclass(frozen=True)
class Values:
    """Complete parameter values of a batch.

    Attributes
    ----------
    columns
        Every parameter of the mass, float64, shape (n_sims, n_regions), or (n_sims, 1) where regions are
        alike.
    network
        G and speed, float64, shape (n_sims,).
    inputs
        Those parameters of the input that are given, float64, shape (n_sims, n_regions) or (n_sims, 1).
    sim_ids
        Simulation ids, int64, shape (n_sims,).
    shared
        Names of the parameters that have one value for all simulations.
    remarks
        Descriptions of implausible values.
    """

    columns: dict[str, np.ndarray]
    network: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    sim_ids: np.ndarray
    shared: frozenset[str]
    remarks: list[str]

    @classmethod
    def complete(cls, parameters: Parameters | None, chosen: Preset, regions: Sequence[str] | None) -> Values:
        """Check the parameters given and fill in the preset's defaults.

        Parameters
        ----------
        parameters
            Name to a number, to values of shape (n_sims,), or, in a network, (n_sims, n_regions). What has
            labels is aligned by its labels; see :mod:`jrflow.values.labels`.
        chosen
            Defaults of what is missing.
        regions
            Names of the network's regions; None for a column alone.

        Raises
        ------
        ValueError
            For an unknown name, a wrong shape, labels that disagree, or a non-finite or impossible value.
        """
        given, ids = labelled(parameters, regions)
        for name, value in given.items():
            require_possible(name, value, None if regions is None else len(regions))
        lengths = {name: len(v) for name, v in given.items() if v.ndim > 0}
        if ids is not None:
            lengths |= {"the simulation ids": len(ids)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"parameters differ in their number of simulations: {lengths}")
        n_sims = next(iter(lengths.values()), 1)
        columns = {
            name: _spread(given.get(name, default), n_sims) for name, default in chosen.defaults.items()
        }
        network = {
            name: _spread(given.get(name, p.default), n_sims)[:, 0] for name, p in MODEL.network.items()
        }
        inputs = {name: _spread(given[name], n_sims) for name in MODEL.inputs if name in given}
        return cls(
            columns,
            network,
            inputs,
            np.arange(n_sims, dtype=np.int64) if ids is None else ids,
            frozenset(name for name in MODEL.simulated if name not in given or given[name].ndim == 0),
            [said for name, v in given.items() if (said := remark(name, v, f"parameter {name!r}"))],
        )


def _spread(value: np.ndarray | float, n_sims: int) -> np.ndarray:
    """Values for every simulation, shape (n_sims, 1) or (n_sims, n_regions)."""
    values = np.asarray(value, np.float64)
    if values.ndim < 2:
        values = values.reshape(-1, 1)
    return np.broadcast_to(values, (n_sims, values.shape[1]))
