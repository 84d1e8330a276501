"""tvboptim: TVB's models in JAX. Its own Jansen-Rit, couplings and solvers; many simulations by vmap.

tvboptim counts in milliseconds. Its result holds the state after each step. By its own default Heun keeps
the coupling of the step's start for both stages, as TVB does; delays are rounded to steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tvboptim.experimental.network_dynamics import Bunch, Network, prepare
from tvboptim.experimental.network_dynamics.coupling import DelayedSigmoidalJansenRit, SigmoidalJansenRit
from tvboptim.experimental.network_dynamics.dynamics.tvb import JansenRit
from tvboptim.experimental.network_dynamics.graph import DenseDelayGraph, DenseGraph
from tvboptim.experimental.network_dynamics.noise import AdditiveNoise
from tvboptim.experimental.network_dynamics.solvers import Euler, Heun

from peers import BACKGROUND, Run, check_scheme, spread
from peers.tvboptim_stimulus import HeldStimulus, StimulatedJansenRit
from peers.units import MILLISECONDS, before_each_step, kick, tvb_parameters

PRECISION = "float32"
NOTES = {
    "uncoupled": "simulations are nodes without coupling, which is faster than vmap over networks of one",
    "coupled": "Heun keeps the coupling of the step's start for both stages (the tool's default)",
    "delays": "history in a circular buffer, the fastest of the tool's three for this",
    "noise": "each simulation has its own noise key",
    "trajectory": "its Jansen-Rit has no stimulus: a subclass adds it as an external input",
}

#: Steps whose noise is drawn at once, and simulations with delays that go together: the fastest of those
#: tried, among them all steps at once, and all simulations at once.
STEPS_A_DRAW = 20
SIMS_WITH_DELAYS = 4

_SOLVERS = {"euler": Euler, "heun": Heun}
_REST: dict[str, Any] = {"INITIAL_STATE": (0.0,) * 6, "VARIABLES_OF_INTEREST": ("y1", "y2")}


def _span(n_steps: int, dt: float) -> dict[str, float]:
    """Start, end and step, ms; the end lies half a step short, so that rounding cannot add a step."""
    return {"t0": 0.0, "t1": (n_steps - 0.5) * dt * MILLISECONDS, "dt": dt * MILLISECONDS}


def _single(values: Mapping[str, Any]) -> dict[str, jax.Array]:
    return {name: jnp.asarray(value, jnp.float32) for name, value in values.items()}


def uncoupled(
    parameters: Mapping[str, np.ndarray], background: float, n_steps: int, dt: float, scheme: str
) -> Run:
    check_scheme(scheme)
    n_sims = len(parameters["A_e"])
    model = JansenRit(**_REST, **_single(tvb_parameters(parameters, background)))
    solve, config = prepare(model, _SOLVERS[scheme](), n_nodes=n_sims, **_span(n_steps, dt))
    compiled = jax.jit(lambda own: solve(own).ys)

    def run() -> int:
        compiled(config).block_until_ready()
        return n_sims * n_steps

    return run


def network(
    weights: np.ndarray,
    n_steps: int,
    dt: float,
    noise_sd: float,
    delays_steps: np.ndarray | None,
    scheme: str,
) -> tuple[Callable[[Bunch], Any], Bunch]:
    """The tool's solve function and configuration for one network."""
    sources: dict[str, Any] = {"incoming_states": ("y1", "y2")}
    coupling: dict[str, Any]
    if delays_steps is None:
        graph, coupling = DenseGraph(jnp.asarray(weights)), {"instant": SigmoidalJansenRit(**sources)}
    else:
        graph = DenseDelayGraph(jnp.asarray(weights), jnp.asarray(delays_steps * dt * MILLISECONDS))
        coupling = {"delayed": DelayedSigmoidalJansenRit(buffer_strategy="circular", **sources)}
    noise = AdditiveNoise(apply_to="y4") if noise_sd else None
    solver = _SOLVERS[scheme](block_size=STEPS_A_DRAW if noise_sd else None)
    model = Network(JansenRit(**_REST), coupling, graph, noise=noise)
    return prepare(model, solver, **_span(n_steps, dt))


def coupled(
    weights: np.ndarray,
    n_sims: int,
    n_steps: int,
    dt: float,
    noise_sd: float,
    delays_steps: np.ndarray | None,
    scheme: str,
) -> Run:
    check_scheme(scheme)
    solve, config = network(weights, n_steps, dt, noise_sd, delays_steps, scheme)

    def simulate(own: tuple[Mapping[str, jax.Array], jax.Array, jax.Array]) -> jax.Array:
        p, sigma, key = own
        mine = config.copy()
        mine.dynamics = Bunch(p)
        for coupling in mine.coupling.values():
            # As in the other peers, a region is heard through the sigmoid of its own simulation.
            coupling.cmax, coupling.midpoint, coupling.r = 2 * p["nu_max"], p["v0"], p["r"]
        if noise_sd:
            mine.noise.sigma, mine.noise.key = sigma, key
        return solve(mine).ys

    parameters = spread(n_sims)
    keys = jax.random.split(jax.random.key(0), n_sims)
    sigma = jnp.asarray(kick(parameters, noise_sd), jnp.float32)
    everything = (_single(tvb_parameters(parameters, BACKGROUND)), sigma, keys)
    if delays_steps is None:
        batch = jax.jit(jax.vmap(simulate, out_axes=1))
    else:
        batch = jax.jit(lambda sims: jax.lax.map(simulate, sims, batch_size=SIMS_WITH_DELAYS))

    def run() -> int:
        batch(everything).block_until_ready()
        return n_sims * len(weights) * n_steps

    return run


def trajectory(
    parameters: Mapping[str, float],
    background: float,
    stimulus: np.ndarray | None,
    dt: float,
    n_steps: int,
    scheme: str,
) -> np.ndarray:
    check_scheme(scheme)
    u = np.zeros(n_steps) if stimulus is None else np.asarray(stimulus)
    with jax.enable_x64(True):
        model = StimulatedJansenRit(**_REST, **tvb_parameters(parameters, background))
        externals = {"stimulus": HeldStimulus(rates=jnp.asarray(u / MILLISECONDS))}
        solve, config = prepare(model, _SOLVERS[scheme](), externals=externals, **_span(n_steps, dt))
        ys = np.asarray(jax.jit(solve)(config).ys)
    return before_each_step(ys[:, 0, 0] - ys[:, 1, 0])
