"""Parameters in, labelled Dataset out: the one door between the model's arrays and everybody's labels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from jrflow.archive.status import NON_FINITE, OK, OUT_OF_RANGE, STATUS_ATTRS
from jrflow.archive.variables import (
    FAILED_STEP_ATTRS,
    N_TRIALS_ATTRS,
    REGION_ATTRS,
    SIM_ATTRS,
    SOURCE_ATTRS,
    TIME_ATTRS,
)
from jrflow.model.batch import integrate
from jrflow.model.connectome import Connectome
from jrflow.model.parameters import preset as preset_named
from jrflow.model.problem import Problem, Solution
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.model.solvers import solver as solver_named
from jrflow.model.timing import Timing
from jrflow.values import Parameters, Values, parameter_attrs

#: The one region of an uncoupled column.
COLUMN = "column"


def simulate(
    parameters: Parameters | None = None,
    *,
    preset: str = "unit-consistent",
    protocol: EvokedProtocol | RestProtocol | None = None,
    connectome: Connectome | None = None,
    solver: str | None = None,
    dt: float = 1e-3,
    sfreq: float = 1000.0,
    seed: int = 0,
    precision: Literal["float32", "float64"] = "float32",
    backend: Literal["cpu", "cuda"] = "cpu",
    max_source: float = 1e4,
    steady_state_tolerance: float | None = 1e-5,
    n_threads: int | None = None,
) -> xr.Dataset:
    """Simulate a batch of cortical columns, or of networks of them.

    Parameters
    ----------
    parameters
        Parameter name to values per simulation, in the units of ``jrflow.model.parameters.PARAMETERS``.
        Scalars serve all simulations; what is missing takes the preset's default. In a network a column's
        parameters may have the shape (n_sims, n_regions), and ``G`` (1) and ``speed`` (m/s, infinite by
        default: no delays) join them. The coordinate ``sim`` of a Dataset (or an index called ``sim`` of a
        DataFrame) gives the simulation ids that key the noise; otherwise they count from zero.
    preset
        Defaults of the model: 'unit-consistent', 'as-published' or 'jansen-rit-1995'.
    protocol
        What is done and recorded; by default the paper's evoked protocol.
    connectome
        Couples the regions of a network; None for a column alone.
    solver
        A name of ``jrflow.model.solvers.SOLVERS``; by default the preset's.
    dt, sfreq
        Integration step (s) and sampling frequency of the recording (Hz).
    seed
        Key of the background noise.
    precision
        Floating-point precision of the integration and of ``source``.
    backend
        Where it is computed: 'cpu', or 'cuda' on an NVIDIA GPU (extra ``gpu``).
    max_source
        Largest believable abs(source), mV; beyond it the status is 3 (out of range).
    steady_state_tolerance
        An evoked response has settled when its trace over one trial differs from that over the trial
        before by no more than this fraction of its range; later trials are then not simulated. None
        simulates them all.
    n_threads
        Threads; by default one for each core. Changes no value.

    Returns
    -------
    Dataset in the archive's layout: ``source`` (sim, region, time) in mV; ``status``, ``failed_step`` and
    ``n_trials`` (sim); one coordinate for each parameter.

    Raises
    ------
    ValueError
        For an unknown name, a wrong shape, or a non-finite or impossible value.
    BackendError
        If there is no GPU for backend 'cuda'.
    """
    _check(backend, precision, seed, steady_state_tolerance)
    chosen = preset_named(preset)
    protocol = EvokedProtocol() if protocol is None else protocol
    scheme = solver_named(solver or chosen.solver)
    timing = Timing.of(protocol, dt, sfreq)
    regions = [COLUMN] if connectome is None else list(connectome.names)
    values = Values.complete(parameters, chosen, None if connectome is None else len(regions))
    problem = Problem(
        parameters=values.columns, sim_ids=values.sim_ids, protocol=protocol, timing=timing, solver=scheme,
        dtype=np.dtype(precision), seed=seed, connectome=connectome, G=values.network["G"],
        speed=values.network["speed"], stimulated=_stimulated(protocol, regions), max_source=max_source,
        steady_tolerance=steady_state_tolerance,
    )  # fmt: skip
    solution = _integrate(problem, backend, n_threads)
    attrs = {
        "preset": preset, "solver": scheme.name, "dt": dt, "sfreq": sfreq, "seed": seed,
        "n_epochs": timing.n_epochs,
    }  # fmt: skip
    return _labelled(problem, solution, values, regions, attrs)


def _check(backend: str, precision: str, seed: int, tolerance: float | None) -> None:
    if backend not in ("cpu", "cuda"):
        raise ValueError(f"unknown backend {backend!r}: expected 'cpu' or 'cuda'")
    if precision not in ("float32", "float64"):
        raise ValueError(f"unknown precision {precision!r}: expected 'float32' or 'float64'")
    if seed < 0:
        raise ValueError(f"seed must be 0 or greater, received {seed}")
    if tolerance is not None and not 0 <= tolerance < 1:
        raise ValueError(f"steady_state_tolerance must be in [0, 1), or None, received {tolerance}")


def _integrate(problem: Problem, backend: str, n_threads: int | None) -> Solution:
    if backend == "cpu":
        return integrate(problem, n_threads)
    # The GPU's libraries are an extra, and slow to load.
    from jrflow.model.kernel_gpu import integrate as integrate_on_gpu

    return integrate_on_gpu(problem)


def _stimulated(protocol: EvokedProtocol | RestProtocol, regions: list[str]) -> np.ndarray:
    """1 where a region receives the stimulus, else 0."""
    chosen = protocol.stim_regions if isinstance(protocol, EvokedProtocol) else None
    if chosen is None:
        return np.ones(len(regions))
    unknown = [name for name in chosen if name not in regions]
    if unknown:
        listed = ", ".join(regions[:5]) + (", ..." if len(regions) > 5 else "")
        raise ValueError(f"stim_regions: no region {unknown[0]!r}; there are {len(regions)}: {listed}")
    return np.isin(regions, chosen).astype(float)


def _status(solution: Solution) -> np.ndarray:
    """Status of each simulation, int8; a source that is no number has been noticed as a failure."""
    status = np.full(len(solution.source), OK, np.int8)
    failed = np.flatnonzero(solution.failed_step >= 0)
    finite = np.isfinite(solution.source[failed]).all(axis=(1, 2))
    status[failed] = np.where(finite, OUT_OF_RANGE, NON_FINITE)
    return status


def _labelled(
    problem: Problem, solution: Solution, values: Values, regions: list[str], attrs: dict[str, Any]
) -> xr.Dataset:
    """Give the arrays their names, units and coordinates."""
    coordinates: dict[str, Any] = {
        name: (("sim",), v[:, 0]) if v.shape[1] == 1 else (("sim", "region"), v)
        for name, v in values.columns.items()
    }
    if problem.connectome is not None:
        coordinates |= {name: (("sim",), v) for name, v in values.network.items()}
    return xr.Dataset(
        {
            "source": (("sim", "region", "time"), solution.source, SOURCE_ATTRS),
            "status": ("sim", _status(solution), STATUS_ATTRS),
            "failed_step": ("sim", solution.failed_step, FAILED_STEP_ATTRS),
            "n_trials": ("sim", _n_trials(problem, solution), N_TRIALS_ATTRS),
        },
        coords={
            "sim": ("sim", values.sim_ids, SIM_ATTRS),
            "region": ("region", regions, REGION_ATTRS),
            "time": ("time", problem.timing.times, TIME_ATTRS),
        }
        | {name: (dims, v, parameter_attrs(name)) for name, (dims, v) in coordinates.items()},
        attrs=attrs,
    )


def _n_trials(problem: Problem, solution: Solution) -> np.ndarray:
    """Trials that were simulated; at rest none."""
    if not isinstance(problem.protocol, EvokedProtocol):
        return np.zeros(len(problem.sim_ids), np.int32)
    return np.where(solution.n_trials > 0, solution.n_trials, problem.protocol.n_trials).astype(np.int32)
