"""What simulating takes, computed from the configuration before anything runs: seconds of one core.

Nothing is measured here and nothing is loaded: a workflow asks while it reads its rules. All constants were
measured on one core of a shared AMD EPYC of the third generation (Zen 3: AVX2, no AVX-512), as CPU time of
``jrflow.simulate``; a core with AVX-512 takes about half. ``python benchmarks/cost.py`` prints what this
module says beside what a machine takes; docs/reference/cost.md explains it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from jrflow.config.config import Config
from jrflow.config.shards import shard_count, shard_sizes, simulation_bytes, worker_bytes
from jrflow.model.protocol import EvokedProtocol

__all__ = [
    "block_seconds",
    "campaign_seconds",
    "simulation_seconds",
    "trial_simulations",
    "worker_bytes",
]

#: Time of one step of one column in float32, ns (resting and evoked columns, no noise).
_STEP_NS = {
    "euler": 3.8,
    "heun": 7.0,
    "rk4": 12.0,
    "exp-ab2": 6.5,
    "exp-ab3": 7.0,
    "exp-ab4": 8.0,
    "strang": 5.5,
}
#: Evaluations of the right-hand side a step, each with a coupling of its own; of all others one.
_STAGES = {"heun": 2, "rk4": 4}
#: In float64 half as many lanes fill a register, and its exponential is longer: measured, 1.8 to 3.5 times.
_FLOAT64 = 2.5
#: Process noise, ns a step and column: one normal number.
_NOISE_NS = 3.5
#: A region of a network besides its own step and its connections, ns a step.
_REGION_NS = 5.0
#: One connection, ns a step: without delays, with delays, and with delays that differ between simulations.
#: Networks of 68 to 400 regions, all linked with all; a sparse one takes less.
_CONNECTION_NS = {"none": 0.08, "same": 0.2, "differ": 1.5}
#: One sample that is kept of a column at rest, ns.
_SAMPLE_NS = 3.0

#: Trials that an evoked response is simulated for where it may settle: most settle in two or three, and
#: whoever settles late is simulated anew, with others that do (median 2, effective 3 to 5 over a prior of
#: +-50 %). With a background input more settle late, and some never.
_TRIALS, _TRIALS_DRIVEN = 5, 6

#: Labelling, checking, compressing and writing: s a byte of float32, and s a simulation.
_WRITING_S = 8e-9
_SIMULATION_S = 20e-6
#: Besides, s a shard: its design is read, its coefficients are laid out, its file is opened.
_SHARD_S = 0.05
#: Sealing reads what was written once more: s a byte of float32, on one core.
_SEALING_S = 2e-9

#: Starting: importing, the compiled kernels from numba's cache, Dask's workers; s. Compiling takes up to 80 s
#: instead, once on a machine: that is left to the allowance of whoever asks for time. From the wall time of
#: the demo's campaigns, 14.6 to 38 s with one worker while others used the machine: little else is in them.
START_UP_S = 15.0

#: What a GPU does in the time of one core. No card was measured: a guess on the safe side.
_GPU_CORES = 8.0

#: Simulations of the trial that a campaign begins with, of columns and of networks; a campaign many times
#: longer is worth one.
_TRIAL, _TRIAL_OF_NETWORKS, _WORTH = 1024, 32, 16


def simulation_seconds(config: Config, name: str, n_regions: int) -> float:
    """Expected time of one simulation of a campaign on one core, with compressing and writing, s.

    Parameters
    ----------
    config
        The run's configuration.
    name
        Name of the campaign.
    n_regions
        Regions of its connectome, or 1.
    """
    steps = expected_steps(config, name, n_regions)
    kernel = 1e-9 * n_regions * (steps * _step_ns(config, name, n_regions) + _recording_ns(config))
    if config.simulation.backend == "cuda":
        kernel /= _GPU_CORES
    return kernel + _SIMULATION_S + _WRITING_S * simulation_bytes(config, n_regions)


def precise_simulation_seconds(config: Config, name: str) -> float:
    """Expected time of one simulation of a column in float64 on one core, s."""
    exact = config.simulation.model_copy(update={"precision": "float64", "backend": "cpu"})
    return simulation_seconds(config.model_copy(update={"simulation": exact}), name, 1)


def n_varied(config: Config, name: str) -> int:
    """Count the parameters that a campaign varies."""
    return len(config.priors[config.campaigns[name].prior].parameters)


def campaign_seconds(config: Config, name: str, n_regions: int, n_cores: int) -> float:
    """Expected time of a whole campaign as one job, s: start, trial, whole shards in rounds, seal.

    Parameters
    ----------
    config, name, n_regions
        As for ``simulation_seconds``.
    n_cores
        Workers, one a core.
    """
    simulating = block_seconds(config, name, n_regions, shard_count(config, name, n_regions), n_cores)
    return simulating + sealing_seconds(config, name, n_regions)


def block_seconds(config: Config, name: str, n_regions: int, n_shards: int, n_cores: int) -> float:
    """Expected time of a job that simulates some shards of a campaign, s.

    Parameters
    ----------
    config, name, n_regions, n_cores
        As for ``campaign_seconds``.
    n_shards
        Shards of this job. Each worker takes one at a time, so they are done in rounds.
    """
    return block_timer(config, name, n_regions, n_cores)(n_shards)


def block_timer(config: Config, name: str, n_regions: int, n_cores: int) -> Callable[[int], float]:
    """``block_seconds`` as a function of the number of shards alone, for whoever compares many."""
    n_simulations = config.n_simulations(name)
    shard = min(shard_sizes(config, name, n_regions)[0], n_simulations)
    seconds = simulation_seconds(config, name, n_regions)

    def expected(n_shards: int) -> float:
        # The trial runs on one core, twice: once to compile, or to load what has been compiled.
        trial = 2 * trial_simulations(n_regions, min(n_shards * shard, n_simulations))
        rounds = math.ceil(n_shards / n_cores)
        return START_UP_S + rounds * _SHARD_S + seconds * (rounds * shard + trial)

    return expected


def sealing_seconds(config: Config, name: str, n_regions: int) -> float:
    """Expected time in which a campaign's archive is sealed, s, its start left out."""
    return _SEALING_S * config.n_simulations(name) * simulation_bytes(config, n_regions)


def trial_simulations(n_regions: int, n_simulations: int) -> int:
    """Simulations of the trial that a job begins with; 0 where that would take as long as doing it."""
    n = _TRIAL if n_regions == 1 else _TRIAL_OF_NETWORKS
    return n if n_simulations >= _WORTH * n else 0


def expected_steps(config: Config, name: str, n_regions: int) -> float:
    """Steps that one simulation is expected to take: all, or, where responses settle, those until then."""
    simulation = config.simulation
    protocol, timing = simulation.protocol, simulation.timing
    if (
        not isinstance(protocol, EvokedProtocol)
        or _noisy(config, name)
        or not simulation.steady_state_tolerance
    ):
        return timing.n_steps
    varied = config.priors[config.campaigns[name].prior].parameters
    driven = protocol.background > 0 or "p" in varied
    if driven and n_regions > 1:
        # Networks that are driven oscillate, one or other of a block, and all of it waits for that one.
        return timing.n_steps
    trials = _TRIALS_DRIVEN if driven else _TRIALS
    before = (timing.first_sample + timing.n_baseline) * timing.stride
    return min(timing.n_steps, before + trials * timing.period * timing.stride)


def _step_ns(config: Config, name: str, n_regions: int) -> float:
    """One step of one region, ns."""
    simulation = config.simulation
    solver = simulation.solver_for(config.campaigns[name].preset)
    ns = _STEP_NS[solver]
    if n_regions > 1:
        ns += _REGION_NS + _STAGES.get(solver, 1) * n_regions * _CONNECTION_NS[_delays(config, name)]
    factor = _FLOAT64 if simulation.precision == "float64" else 1.0
    return factor * ns + (_NOISE_NS if _noisy(config, name) else 0.0)


def _noisy(config: Config, name: str) -> bool:
    """Whether the background fluctuates in simulations of a campaign."""
    varied = config.priors[config.campaigns[name].prior].parameters
    return config.simulation.protocol.noise_sd > 0 or "p_sd" in varied


def _delays(config: Config, name: str) -> str:
    """Whether connections have delays, and whether these differ between simulations."""
    varied = config.priors[config.campaigns[name].prior].parameters
    if "speed" in varied:
        return "differ"
    connectome = config.simulation.connectome
    return "none" if connectome is None or connectome.speed is None else "same"


def _recording_ns(config: Config) -> float:
    """Keeping the samples of one region at rest, ns; evoked responses are summed within the step."""
    if isinstance(config.simulation.protocol, EvokedProtocol):
        return 0.0
    return (
        _SAMPLE_NS * config.simulation.timing.n_times * (2 if config.simulation.precision == "float64" else 1)
    )
