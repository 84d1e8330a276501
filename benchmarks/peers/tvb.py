"""The Virtual Brain: its Jansen-Rit, its sigmoidal coupling, its integrators; float64, one network a run.

What TVB 2.10 computes, read in its code and reproduced in plain NumPy. It counts in milliseconds; X_n is
the state at n dt; step n takes X_n to X_(n+1).

- Coupling of step n into region i: c_i = a Σ_j w_ij S(y1_j - y2_j) of X at step n - d_ij, with
  d_ij = rint(length_ij / speed / dt), a half going to the even number. d = 0 reads X_n itself.
  Row i of the weights receives, column j sends.
- c is computed once a step, from X_n and before, and enters the excitatory equation beside mu. Heun keeps
  it for both of its stages, so Heun's network is of first order in the coupling.
- S has the coupling's own parameters: cmax = 2 nu_max is 0.005 per ms, midpoint and r by default 6 and 0.56,
  while the model's own v0 defaults to 5.52 mV, not 6.
- Steps before 0 are the initial conditions: an array (horizon, 6, N, 1), oldest first, whose last entry is
  X_0; horizon = max d + 1.
- The Raw monitor yields X_1, X_2, ...: the state after each step. Its time starts at horizon · dt.
- **The history and the weights are float32** (`tvb.simulator.history`: NDArray(..., 'f')), with delays and
  without, and y1 - y2 is taken in float32; the states are float64. So TVB's networks carry errors of
  1e-7 mV from step to step; ``peers.tvb_parity`` can keep the history in float64 instead.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from tvb.datatypes.connectivity import Connectivity
from tvb.simulator import integrators, noise
from tvb.simulator.coupling import Linear, SigmoidalJansenRit
from tvb.simulator.models.jansen_rit import JansenRit
from tvb.simulator.monitors import Raw
from tvb.simulator.simulator import Simulator

from peers import BACKGROUND, GAINS, Run, check_scheme, first, spread
from peers.units import MILLISECONDS, before_each_step, kick, tvb_parameters

PRECISION = "float64"
NOTES = {
    "uncoupled": "simulations are the nodes of a network without connections",
    "coupled": "one network a run; its history is float32, also without delays; Heun keeps the coupling of "
    "the step's start for both stages",
    "noise": "drawn for all six states, used for one",
    "trajectory": "the stimulus of three populations needs a subclass of its Simulator",
}

# At every deterministic run they warn that the random state has no use, and of a file that is optional.
for _logger in ("tvb.simulator.integrators", "tvb.basic.readers"):
    logging.getLogger(_logger).setLevel(logging.ERROR)


class StimulatedSimulator(Simulator):
    """TVB's simulator with a rate u for each step, 1/ms, into all three populations; one node."""

    rates = np.zeros(0)

    def _prepare_stimulus(self) -> np.ndarray:
        return np.zeros((6, 1, 1))

    def _loop_update_stimulus(self, step: int, stimulus: np.ndarray) -> None:
        A_a, B_b = self.model.A * self.model.a, self.model.B * self.model.b
        g_p, g_e, g_i = GAINS
        u = self.rates[step - self.current_step - 1]
        stimulus[3:, 0, 0] = u * np.array([g_p * A_a, g_e * A_a, g_i * B_b]).ravel()


def integrator_of(scheme: str, dt: float, y1_noise: float) -> integrators.Integrator:
    """Euler or Heun; TVB's nsig is half the variance that the noise adds in a millisecond."""
    if not y1_noise:
        known = {"euler": integrators.EulerDeterministic, "heun": integrators.HeunDeterministic}
        return known[scheme](dt=dt * MILLISECONDS)
    nsig = np.zeros(6)
    nsig[4] = y1_noise**2 / 2
    known = {"euler": integrators.EulerStochastic, "heun": integrators.HeunStochastic}
    return known[scheme](dt=dt * MILLISECONDS, noise=noise.Additive(nsig=nsig))


def _connectivity(weights: np.ndarray, delays: np.ndarray) -> Connectivity:
    """A connectome whose delays, ms, are its tract lengths at a speed of 1 mm/ms."""
    n = len(weights)
    return Connectivity(
        weights=np.array(weights, float),
        tract_lengths=np.asarray(delays, float),
        speed=np.array([1.0]),
        centres=np.zeros((n, 3)),
        region_labels=np.array([f"region {i}" for i in range(n)]),
    )


def simulator_at_rest(
    connectivity: Connectivity,
    p: Mapping[str, Any],
    background: float,
    integrator: integrators.Integrator,
    strength: float = 1.0,
    kind: type[Simulator] = Simulator,
) -> Simulator:
    """A configured simulator, at rest and with zeros before; p holds numbers or one array of (N,) each."""
    in_ms = {name: np.atleast_1d(value) for name, value in tvb_parameters(p, background).items()}
    if connectivity.weights.any():
        sigmoid = {"cmax": 2 * in_ms["nu_max"], "midpoint": in_ms["v0"], "r": in_ms["r"]}
        coupling = SigmoidalJansenRit(a=np.array([strength]), **sigmoid)
    else:
        # Linear coupling visits only what is connected: one weight of nothing, since it needs at least one.
        connectivity.weights[0, 0] = np.finfo(np.float32).tiny
        coupling = Linear()
    connectivity.configure()
    connectivity.set_idelays(integrator.dt)
    simulator = kind(
        model=JansenRit(variables_of_interest=["y1", "y2"], **in_ms),
        connectivity=connectivity,
        coupling=coupling,
        integrator=integrator,
        monitors=(Raw(),),
        initial_conditions=np.zeros((connectivity.horizon, 6, len(connectivity.weights), 1)),
    )
    return simulator.configure()


def source_after(simulator: Simulator, n_steps: int) -> np.ndarray:
    """The source after each step, (n_steps, N), mV."""
    return np.array([state[0, :, 0] - state[1, :, 0] for ((_, state),) in simulator(n_steps=n_steps)])


def _timed(simulator: Simulator, n_steps: int) -> Run:
    """A run that goes on from where the last one ended."""
    return lambda: source_after(simulator, n_steps).size


def uncoupled(
    parameters: Mapping[str, np.ndarray], background: float, n_steps: int, dt: float, scheme: str
) -> Run:
    check_scheme(scheme)
    n_sims = len(parameters["A_e"])
    alone = _connectivity(np.zeros((n_sims, n_sims)), np.zeros((n_sims, n_sims)))
    return _timed(simulator_at_rest(alone, parameters, background, integrator_of(scheme, dt, 0.0)), n_steps)


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
    p = first(spread(n_sims))
    delays = np.zeros_like(weights) if delays_steps is None else delays_steps * dt * MILLISECONDS
    integrator = integrator_of(scheme, dt, kick(p, noise_sd))
    return _timed(simulator_at_rest(_connectivity(weights, delays), p, BACKGROUND, integrator), n_steps)


def trajectory(
    parameters: Mapping[str, float],
    background: float,
    stimulus: np.ndarray | None,
    dt: float,
    n_steps: int,
    scheme: str,
) -> np.ndarray:
    check_scheme(scheme)
    alone = _connectivity(np.zeros((1, 1)), np.zeros((1, 1)))
    integrator = integrator_of(scheme, dt, 0.0)
    simulator = simulator_at_rest(alone, parameters, background, integrator, kind=StimulatedSimulator)
    simulator.rates = (np.zeros(n_steps) if stimulus is None else np.asarray(stimulus)) / MILLISECONDS
    return before_each_step(source_after(simulator, n_steps))[:, 0]
