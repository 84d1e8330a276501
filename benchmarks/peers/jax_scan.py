"""JAX: one simulation is a lax.scan over time, many are its vmap, and XLA compiles the whole.

A step draws its noise from a key of its own simulation (threefry): on a CPU that was faster here than
drawing all of it before, and than the rbg generators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from peers import BACKGROUND, GAINS, Run, Unsupported, check_scheme, spread

PRECISION = "float32"
NOTES = {"coupled": "W @ S(v) of all simulations is one matrix product a step, at every stage of Heun"}

State = tuple[jax.Array, ...]


def _slopes(p: Mapping[str, Any], y: State, weights: Any, background: float, u: Any) -> State:
    """Time derivatives of (y0, y1, y2, y0', y1', y2'); each of shape (N,)."""
    y0, y1, y2, v0, v1, v2 = y
    a, b = p["b_e"], p["b_i"]
    g_p, g_e, g_i = GAINS

    def rate(v: Any) -> Any:
        return p["v_max"] / (1 + jnp.exp(p["r"] * (p["v_0"] - v)))

    pyramidal = rate(y1 - y2)
    network = 0.0 if weights is None else weights @ pyramidal
    excitatory = background + p["a_2"] * p["C"] * rate(p["a_1"] * p["C"] * y0) + network
    inhibitory = p["a_4"] * p["C"] * rate(p["a_3"] * p["C"] * y0)
    return (
        v0,
        v1,
        v2,
        p["A_e"] * a * (pyramidal + g_p * u) - 2 * a * v0 - a * a * y0,
        p["A_e"] * a * (excitatory + g_e * u) - 2 * a * v1 - a * a * y1,
        p["A_i"] * b * (inhibitory + g_i * u) - 2 * b * v2 - b * b * y2,
    )


def _advance(y: State, dt: float, slopes: State, kick: Any) -> State:
    """One explicit step, with the noise's increment in y1'."""
    new = [value + dt * slope for value, slope in zip(y, slopes, strict=True)]
    new[4] = new[4] + kick
    return tuple(new)


def _simulation(
    weights: Any, n_nodes: int, background: float, noise_sd: float, dt: float, scheme: str
) -> Callable[..., jax.Array]:
    """A function of (parameters, key, stimulus) that gives the source, (n_steps, N), of one simulation."""

    def simulate(p: Mapping[str, Any], key: jax.Array, stimulus: jax.Array) -> jax.Array:
        scale = p["A_e"] * p["b_e"] * noise_sd * np.sqrt(1e-3 * dt)

        def step(y: State, now: tuple[jax.Array, jax.Array]) -> tuple[State, jax.Array]:
            k, u = now
            kick = scale * jax.random.normal(jax.random.fold_in(key, k), (n_nodes,)) if noise_sd else 0.0
            slopes = _slopes(p, y, weights, background, u)
            new = _advance(y, dt, slopes, kick)
            if scheme == "heun":
                ahead = _slopes(p, new, weights, background, u)
                new = _advance(y, dt / 2, tuple(s + e for s, e in zip(slopes, ahead, strict=True)), kick)
            return new, y[1] - y[2]

        rest = (jnp.zeros(n_nodes),) * 6
        return jax.lax.scan(step, rest, (jnp.arange(len(stimulus)), stimulus))[1]

    return simulate


def _timed(parameters: Mapping[str, np.ndarray], n_steps: int, n_nodes: int, simulate: Any) -> Run:
    """A run of all simulations at once, in float32."""
    values = {name: jnp.asarray(value, jnp.float32) for name, value in parameters.items()}
    n_sims = len(values["A_e"])
    keys = jax.random.split(jax.random.key(0), n_sims)
    silence = jnp.zeros(n_steps, jnp.float32)
    batch = jax.jit(jax.vmap(simulate, in_axes=(0, 0, None), out_axes=1))

    def run() -> int:
        batch(values, keys, silence).block_until_ready()
        return n_sims * n_nodes * n_steps

    return run


def uncoupled(
    parameters: Mapping[str, np.ndarray], background: float, n_steps: int, dt: float, scheme: str
) -> Run:
    check_scheme(scheme)
    return _timed(parameters, n_steps, 1, _simulation(None, 1, background, 0.0, dt, scheme))


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
    if delays_steps is not None:
        raise Unsupported("this plain scan keeps no history; tvboptim is the JAX simulator with delays")
    W = jnp.asarray(weights, jnp.float32)
    return _timed(spread(n_sims), n_steps, len(W), _simulation(W, len(W), BACKGROUND, noise_sd, dt, scheme))


def trajectory(
    parameters: Mapping[str, float],
    background: float,
    stimulus: np.ndarray | None,
    dt: float,
    n_steps: int,
    scheme: str,
) -> np.ndarray:
    check_scheme(scheme)
    with jax.enable_x64(True):
        u = jnp.zeros(n_steps) if stimulus is None else jnp.asarray(stimulus, jnp.float64)
        simulate = jax.jit(_simulation(None, 1, background, 0.0, dt, scheme))
        values = {name: jnp.float64(value) for name, value in parameters.items()}
        return np.asarray(simulate(values, jax.random.key(0), u))[:, 0]
