"""Parameters in, labelled Dataset out: the one door between the model's arrays and everybody's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from jrflow.archive.layout import REGION_ATTRS, SOURCE_ATTRS, TIME_ATTRS
from jrflow.archive.status import NON_FINITE, OK, OUT_OF_RANGE, STATUS_ATTRS
from jrflow.config.suggest import did_you_mean
from jrflow.model.kernel_cpu import integrate
from jrflow.model.parameters import PARAMETERS, Preset, preset as preset_named
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.model.solvers import solver as solver_named
from jrflow.model.timing import Timing

Parameters = Mapping[str, Any] | pd.DataFrame | xr.Dataset

#: The one region of an uncoupled column.
COLUMN = "column"


def simulate(
    parameters: Parameters | None = None,
    *,
    preset: str = "unit-consistent",
    protocol: EvokedProtocol | RestProtocol | None = None,
    solver: str | None = None,
    dt: float = 1e-3,
    sfreq: float = 1000.0,
    seed: int = 0,
    precision: Literal["float32", "float64"] = "float32",
    backend: Literal["cpu"] = "cpu",
    max_source: float = 1e4,
    n_threads: int | None = None,
) -> xr.Dataset:
    """Simulate a batch of cortical columns.

    Parameters
    ----------
    parameters
        Parameter name to values per simulation, in the units of ``jrflow.model.parameters.PARAMETERS``.
        Scalars serve all simulations; what is missing takes the preset's default. The coordinate
        ``sim`` of a Dataset (or an index called ``sim`` of a DataFrame) gives the simulation ids that
        key the noise; otherwise they count from zero.
    preset
        Defaults of the model: 'unit-consistent', 'as-published' or 'jansen-rit-1995'.
    protocol
        What is done and recorded; by default the paper's evoked protocol.
    solver
        'exp-ab4' or 'euler'; by default the preset's.
    dt, sfreq
        Integration step (s) and sampling frequency of the recording (Hz).
    seed
        Key of the background noise.
    precision
        Floating-point precision of the integration and of ``source``.
    backend
        Where it is computed.
    max_source
        Largest believable abs(source), mV; beyond it the status is 3 (out of range).
    n_threads
        Threads; by default one for each core. Changes no value.

    Returns
    -------
    Dataset in the archive's layout: ``source`` (sim, region, time) in mV, ``status`` (sim), one
    coordinate for each parameter.

    Raises
    ------
    ValueError
        For an unknown name, a wrong shape, or a non-finite or impossible value.
    """
    if backend != "cpu":
        raise ValueError(f"unknown backend {backend!r}: expected 'cpu'")
    if precision not in ("float32", "float64"):
        raise ValueError(f"unknown precision {precision!r}: expected 'float32' or 'float64'")
    if seed < 0:
        raise ValueError(f"seed must be 0 or greater, received {seed}")
    chosen = preset_named(preset)
    protocol = EvokedProtocol() if protocol is None else protocol
    scheme = solver_named(solver or chosen.solver)
    timing = Timing.of(protocol, dt, sfreq)
    values, sim_ids = complete_parameters(parameters, chosen)

    source, peak = integrate(values, sim_ids, protocol, timing, scheme, np.dtype(precision), seed, n_threads)
    status = np.full(len(sim_ids), OK, np.int8)
    status[~(peak <= max_source)] = OUT_OF_RANGE
    status[~np.isfinite(source).all(axis=1)] = NON_FINITE
    attrs = {
        "preset": preset, "solver": scheme.name, "dt": dt, "sfreq": sfreq, "seed": seed,
        "n_epochs": timing.n_epochs,
    }  # fmt: skip
    return xr.Dataset(
        {
            "source": (("sim", "region", "time"), source[:, None, :], SOURCE_ATTRS),
            "status": ("sim", status, STATUS_ATTRS),
        },
        coords={
            "sim": ("sim", sim_ids, {"long_name": "simulation id"}),
            "region": ("region", [COLUMN], REGION_ATTRS),
            "time": ("time", timing.times, TIME_ATTRS),
        }
        | {name: ("sim", v, parameter_attrs(name)) for name, v in values.items()},
        attrs=attrs,
    )


def parameter_attrs(name: str) -> dict[str, str]:
    """Attributes of a parameter's coordinate."""
    return {"units": PARAMETERS[name].unit, "long_name": PARAMETERS[name].long_name}


def complete_parameters(
    parameters: Parameters | None, chosen: Preset
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Check the parameters given and fill in the preset's defaults.

    Returns
    -------
    Every model parameter's values as float64, shape (n_sims,), and the simulation ids, int64.
    """
    given = {str(k): np.asarray(v) for k, v in _columns(parameters).items()}
    for name, value in given.items():
        _check_values(name, value)
    lengths = {name: len(v) for name, v in given.items() if v.ndim == 1}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"parameters differ in their number of simulations: {lengths}")
    n_sims = next(iter(lengths.values()), 1)
    values = {
        name: np.broadcast_to(given.get(name, default), n_sims).astype(np.float64)
        for name, default in chosen.defaults.items()
    }
    return values, _sim_ids(parameters, n_sims)


def _columns(parameters: Parameters | None) -> Mapping[Any, Any]:
    if parameters is None:
        return {}
    if isinstance(parameters, xr.Dataset):
        other = ("sim", "region", "time", "source", "status", "varied")
        return {name: parameters[name].values for name in parameters.variables if name not in other}
    if isinstance(parameters, pd.DataFrame):
        return {name: parameters[name].to_numpy() for name in parameters.columns}
    return parameters


def _check_values(name: str, value: np.ndarray) -> None:
    if name not in PARAMETERS:
        raise ValueError(f"unknown parameter {name!r}{did_you_mean(name, PARAMETERS)}")
    if value.ndim > 1 or value.size == 0:
        raise ValueError(
            f"parameter {name!r}: expected a number or one value per simulation, received shape {value.shape}"
        )
    if not np.issubdtype(value.dtype, np.number) or np.iscomplexobj(value):
        raise ValueError(f"parameter {name!r}: expected real numbers, received {value.dtype}")
    faulty = np.flatnonzero(~(np.isfinite(value) & (value > 0)))
    if faulty.size:
        where = faulty[0]
        raise ValueError(
            f"parameter {name!r}: expected finite values above 0 {PARAMETERS[name].unit}, received "
            f"{np.atleast_1d(value)[where]} at position {where} ({faulty.size} such values)"
        )


def _sim_ids(parameters: Parameters | None, n_sims: int) -> np.ndarray:
    if isinstance(parameters, xr.Dataset) and "sim" in parameters.coords:
        ids = parameters["sim"].values
    elif isinstance(parameters, pd.DataFrame) and parameters.index.name == "sim":
        ids = parameters.index.to_numpy()
    else:
        return np.arange(n_sims, dtype=np.int64)
    if np.any(ids < 0) or len(np.unique(ids)) != len(ids):
        raise ValueError("simulation ids must be distinct and 0 or greater")
    return ids.astype(np.int64)
