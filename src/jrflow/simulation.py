"""Parameters in, labelled Dataset out: the one door between the model's arrays and labelled data."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from jrflow.archive.vocabulary import (
    FAILED_STEP_ATTRS,
    N_TRIALS_ATTRS,
    NON_FINITE,
    OK,
    OUT_OF_RANGE,
    REGION_ATTRS,
    SIM_ATTRS,
    SOURCE_ATTRS,
    STATUS_ATTRS,
    TIME_ATTRS,
)
from jrflow.model import MODEL
from jrflow.model.arguments import ArgumentTypeError, chosen as choose, described, number, whole
from jrflow.model.batch import integrate
from jrflow.model.connectome import Connectome
from jrflow.model.footprint import require_memory
from jrflow.model.plausible import of_coupling, of_quantities, warn
from jrflow.model.problem import Problem, Solution
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.model.region_labels import COLUMN
from jrflow.model.solvers import solver as solver_named
from jrflow.model.steps import beyond_validity
from jrflow.model.timing import Timing
from jrflow.values import Parameters, Values

BACKENDS, PRECISIONS = ("cpu", "cuda"), ("float32", "float64")


def simulate(
    parameters: Parameters | None = None,
    *,
    preset: str = MODEL.default_preset,
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
        Parameter name to values per simulation, in the units of ``jrflow.model.MODEL.space``.
        Scalars serve all simulations; missing parameters take the preset's defaults. In a network a column's
        parameters may have the shape (n_sims, n_regions), and ``G`` (1) and ``speed`` (m/s, infinite by
        default: no delays) join them. The input's parameters ``p``, ``p_sd``, ``stim_rate`` (1/s)
        and ``stim_duration`` (s) take the place of the protocol's ``background``, ``noise_sd``,
        ``stim_rate`` and ``stim_duration``; a pulse begins ``stim_latency`` (s) after the onset. They, too,
        may differ between regions. The index of a DataFrame or Series, and the coordinate ``sim`` of a
        Dataset or DataArray, are the simulation ids, which key the noise; values are aligned by them, and
        regions by name. Without labels, ids count from zero.
    preset
        Defaults of the model: 'unit-consistent', 'as-published' or 'jansen-rit-1995'.
    protocol
        Stimulus, background and recording; by default the paper's evoked protocol.
    connectome
        Couples the regions of a network; None for a column alone.
    solver
        A name of ``jrflow.model.solvers.SOLVERS``; by default the preset's.
    dt, sfreq
        Integration step (s) and sampling frequency of the recording (Hz). Each scheme is valid up to
        the step that ``jrflow.model.solvers.largest_valid_step`` gives; a simulation whose ``b_e`` or ``b_i``
        is too large for the step gets status 3 and a warning.
    seed
        Key of the background noise, 0 to 2**64 - 1.
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
        For an unknown name, a wrong shape, labels that disagree, a non-finite or impossible value, a step
        that is too long for all simulations, or a run that does not fit into memory.
    BackendError
        If there is no GPU for backend 'cuda'.
    """
    choose("backend", backend, BACKENDS)
    choose("precision", precision, PRECISIONS)
    settings = _Numbers.of(seed, max_source, steady_state_tolerance, n_threads)
    chosen = MODEL.preset(preset)
    protocol = _protocol(protocol)
    if not isinstance(connectome, Connectome | None):
        raise ArgumentTypeError(
            f"connectome: expected a jrflow.Connectome or None, received {described(connectome)}; make one "
            "with jrflow.Connectome(weights, tract_lengths)"
        )
    scheme = solver_named(chosen.solver if solver is None else solver)
    timing = Timing.of(protocol, dt, sfreq)
    regions = [COLUMN] if connectome is None else list(connectome.names)
    values = Values.complete(parameters, chosen, None if connectome is None else regions)
    too_fast, said = beyond_validity(scheme, values.columns, timing.dt, values.shared)
    problem = Problem(
        parameters=values.columns, inputs=_inputs(values, protocol),
        sim_ids=values.sim_ids, protocol=protocol, timing=timing, solver=scheme,
        dtype=np.dtype(precision), seed=settings.seed, connectome=connectome, G=values.network["G"],
        speed=values.network["speed"], stimulated=_stimulated(protocol, regions),
        max_source=settings.max_source, steady_tolerance=settings.tolerance,
    )  # fmt: skip
    require_memory(problem)
    warn([*values.remarks, *_remarks(problem), said])
    solution = _invalid(_integrate_alike(problem, backend, settings.n_threads), too_fast)
    attrs = {
        "preset": preset, "solver": scheme.name, "dt": timing.dt, "sfreq": timing.sfreq,
        "seed": settings.seed,
        "n_epochs": timing.n_epochs,
    }  # fmt: skip
    return _labelled(problem, solution, values, regions, attrs)


class _Numbers(NamedTuple):
    """Settings that are numbers, checked."""

    seed: int
    max_source: float
    tolerance: float | None
    n_threads: int | None

    @classmethod
    def of(cls, seed: Any, max_source: Any, tolerance: Any, n_threads: Any) -> _Numbers:
        """Check each of them."""
        within = "a number in [0, 1), or None"
        return cls(
            whole("seed", seed, 0, 2**64 - 1),
            number("max_source", max_source, "a size above 0, in mV", above=0, infinite=True),
            None if tolerance is None else number(
                "steady_state_tolerance", tolerance, within, least=0, below=1
            ),
            None if n_threads is None else whole("n_threads", n_threads, 1),
        )  # fmt: skip


def _remarks(problem: Problem) -> list[str]:
    """Describe implausible settings other than single parameters and the protocol."""
    given = {"dt": problem.timing.dt, "sfreq": problem.timing.sfreq, "max_source": problem.max_source}
    network = problem.connectome
    coupling = (
        []
        if network is None
        else of_coupling(network.weights, problem.G, problem.parameters[MODEL.largest_rate])
    )
    return of_quantities(given) + coupling


def _protocol(given: Any) -> EvokedProtocol | RestProtocol:
    if given is None:
        return EvokedProtocol()
    if not isinstance(given, EvokedProtocol | RestProtocol):
        raise ArgumentTypeError(
            f"protocol: expected a jrflow.EvokedProtocol or jrflow.RestProtocol, received "
            f"{described(given)}; write protocol=jrflow.RestProtocol(duration=10.0)"
        )
    return given


def _inputs(values: Values, protocol: EvokedProtocol | RestProtocol) -> dict[str, np.ndarray]:
    """Parameters of the input that are given: the protocol must have them."""
    for name in values.inputs:
        if name not in protocol.input_parameters:
            raise ValueError(
                f"parameter {name!r} belongs to a stimulus: expected an EvokedProtocol, received a "
                f"{type(protocol).__name__}"
            )
    if isinstance(protocol, EvokedProtocol):
        given = protocol.input_parameters | values.inputs
        protocol.require_apart(float(np.max(np.asarray(given["stim_latency"]) + given["stim_duration"])))
    return values.inputs


def _integrate_alike(problem: Problem, backend: str, n_threads: int | None) -> Solution:
    """Integrate apart what is computed in different ways, so that values depend on each simulation alone."""
    parts = problem.alike()
    if len(parts) == 1:
        return _integrate(problem, backend, n_threads)
    whole = Solution.empty(problem)
    for members in parts:
        part = _integrate(problem.take(members), backend, n_threads)
        whole.source[members], whole.n_trials[members] = part.source, part.n_trials
        whole.failed_step[members] = part.failed_step
    return whole


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


def _invalid(solution: Solution, too_fast: np.ndarray) -> Solution:
    """Mark simulations for which the step is too long: they have failed from the first step on."""
    solution.failed_step[too_fast & (solution.failed_step < 0)] = 0
    return solution


def _status(solution: Solution) -> np.ndarray:
    """Status of each simulation, int8; the kernels report a source that is not a number as a failure."""
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
        for name, v in (values.columns | values.inputs).items()
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
        | {name: (dims, v, MODEL.space[name].attrs) for name, (dims, v) in coordinates.items()},
        attrs=attrs,
    )


def _n_trials(problem: Problem, solution: Solution) -> np.ndarray:
    """Trials that were simulated; at rest none."""
    if not isinstance(problem.protocol, EvokedProtocol):
        return np.zeros(len(problem.sim_ids), np.int32)
    return np.where(solution.n_trials > 0, solution.n_trials, problem.protocol.n_trials).astype(np.int32)
