"""tvboptim's Jansen-Rit with a stimulus, which its own has not: for trajectories only, not for timed runs."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from tvboptim.experimental.network_dynamics import Bunch, Network
from tvboptim.experimental.network_dynamics.dynamics.tvb import JansenRit
from tvboptim.experimental.network_dynamics.external_input.base import AbstractExternalInput

from peers import GAINS


class HeldStimulus(AbstractExternalInput):
    """A stimulus rate for each step, 1/ms, held over the step: its state is the index of the step."""

    DEFAULT_PARAMS = Bunch(rates=jnp.zeros(1))

    def prepare(self, network: Network | None, dt: float) -> tuple[Bunch, Bunch]:
        return Bunch(), Bunch(index=jnp.int32(0))

    def compute(self, t: Any, state: Any, input_data: Bunch, input_state: Bunch, params: Bunch) -> Any:
        return jnp.reshape(params.rates[input_state.index], (1, 1))

    def update_state(self, input_data: Bunch, input_state: Bunch, new_state: Any) -> Bunch:
        return Bunch(index=input_state.index + 1)


class StimulatedJansenRit(JansenRit):
    """The tool's model, with the stimulus added to all three populations."""

    EXTERNAL_INPUTS = {"stimulus": 1}  # noqa: RUF012 (the tool's own form)

    def dynamics(self, t: Any, state: Any, params: Bunch, coupling: Bunch, external: Bunch) -> Any:
        slopes, auxiliaries = super().dynamics(t, state, params, coupling, external)
        g_p, g_e, g_i = GAINS
        A_a, B_b = params.A * params.a, params.B * params.b
        weights = jnp.stack([g_p * A_a, g_e * A_a, g_i * B_b])[:, None]
        return slopes.at[3:].add(weights * external.stimulus), auxiliaries
