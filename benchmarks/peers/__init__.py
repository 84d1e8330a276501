"""Other simulators of the Jansen-Rit model behind one interface, so that all are asked the same.

The problem, in jrflow's units (mV, 1/s, seconds), for each simulation and each region i:

    y0'' = A_e b_e ( S(y1 - y2)                          + g_p u ) - 2 b_e y0' - b_e² y0
    y1'' = A_e b_e ( p + a_2 C S(a_1 C y0) + K_i         + g_e u ) - 2 b_e y1' - b_e² y1
    y2'' = A_i b_i ( a_4 C S(a_3 C y0)                   + g_i u ) - 2 b_i y2' - b_i² y2
    S(v) = v_max / (1 + exp(r (v_0 - v)))     K_i(t) = Σ_j w_ij S(y1_j - y2_j)(t - τ_ij)

All start from rest (zeros, and zeros before). Sample k of y1 - y2 is the state before step k, so sample 0
is 0. u_k is held over step k. In K row i is the region that receives; the global strength G is part of w;
with Euler step n reads S(y1 - y2) of step n - τ_ij / dt. ``noise_sd`` is jrflow's: the standard deviation of
p, 1/s, when it is held for 1 ms; at another step it is white noise of the same power spectral density, so
one step adds A_e b_e noise_sd sqrt(1 ms · dt) N(0, 1) to y1'.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar, cast

import numpy as np

#: The model's usual parameters, in mV, 1/s and 1/mV.
DEFAULTS: Mapping[str, float] = {
    "A_e": 3.25,
    "A_i": 22.0,
    "b_e": 100.0,
    "b_i": 50.0,
    "C": 135.0,
    "a_1": 1.0,
    "a_2": 0.8,
    "a_3": 0.25,
    "a_4": 0.25,
    "v_max": 5.0,
    "v_0": 6.0,
    "r": 0.56,
}
#: Background p of the coupled case, 1/s.
BACKGROUND = 220.0
#: Stimulus gains g_p, g_e, g_i of the paper.
GAINS = (0.56, 1.0, 1.0)

#: Where each peer lives, and the package that it needs (None: only NumPy).
PEERS: Mapping[str, tuple[str, str | None]] = {
    "published": ("peers.published", None),
    "jax": ("peers.jax_scan", "jax"),
    "tvboptim": ("peers.tvboptim", "tvboptim"),
    "tvb": ("peers.tvb", "tvb-library tvb-data"),
    "vbi-numba": ("peers.vbi_numba", "vbi"),
    "vbi-numpy": ("peers.vbi_numpy", "vbi"),
    "vbi-cpp": ("peers.vbi_cpp", "vbi"),
}

Run = Callable[[], int]
T = TypeVar("T")


class Unsupported(Exception):
    """What a peer cannot do here; the message is the reason, in one line."""


class Peer(Protocol):
    """What every module of this package offers; each function may raise ``Unsupported``."""

    PRECISION: str
    """Of the timed runs, as the tool really computes them."""
    NOTES: Mapping[str, str]
    """By case ("uncoupled", "coupled", "delays", "noise", "trajectory"): what a reader must know."""

    def uncoupled(
        self, parameters: Mapping[str, np.ndarray], background: float, n_steps: int, dt: float, scheme: str
    ) -> Run:
        """A timed run of columns on their own, parameters of shape (n_sims,).

        The run returns the node-steps that it did: fewer than n_sims · n_steps where the tool takes one
        set of parameters at a time. Call it once before timing: the first call compiles.
        """

    def coupled(
        self,
        weights: np.ndarray,
        n_sims: int,
        n_steps: int,
        dt: float,
        noise_sd: float,
        delays_steps: np.ndarray | None,
        scheme: str,
    ) -> Run:
        """A timed run of networks, weights (N, N), parameters of ``spread(n_sims)`` per simulation."""

    def trajectory(
        self,
        parameters: Mapping[str, float],
        background: float,
        stimulus: np.ndarray | None,
        dt: float,
        n_steps: int,
        scheme: str,
    ) -> np.ndarray:
        """Source of one column, mV, shape (n_steps,), in float64 where the tool can."""


def load(name: str) -> Peer:
    """Import one peer; raises ``Unsupported`` where its package is missing or does not import."""
    module, package = PEERS[name]
    try:
        return cast(Peer, importlib.import_module(module))
    except ImportError as error:
        raise Unsupported(f"{name} needs {package}: {error}") from error


def attempt(case: Callable[[], T]) -> tuple[T | None, str]:
    """What a case returns and "", or None and the reason why this peer cannot do it."""
    try:
        return case(), ""
    except Unsupported as reason:
        return None, str(reason)


def spread(n_sims: int, half_width: float = 0.05, seed: int = 0) -> dict[str, np.ndarray]:
    """Parameters of n_sims simulations, uniform within ``half_width`` of their defaults."""
    rng = np.random.default_rng(seed)
    return {
        name: value * rng.uniform(1 - half_width, 1 + half_width, n_sims) for name, value in DEFAULTS.items()
    }


def first(parameters: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The first simulation's parameters, for tools that take one set at a time."""
    return {name: float(values[0]) for name, values in parameters.items()}


def check_scheme(scheme: str, known: tuple[str, ...] = ("euler", "heun")) -> None:
    """Refuse a scheme that the peer does not have."""
    if scheme not in known:
        raise Unsupported(f"its schemes are {', '.join(known)}, not {scheme}")
