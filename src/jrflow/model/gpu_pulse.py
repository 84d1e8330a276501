"""Stimulus pulses that simulations or regions have of their own, on a GPU."""

from __future__ import annotations

from jrflow.model.gpu_device import on_device
from jrflow.model.pulse import N_PULSE, mean_pulse, unit_pulse


@on_device
def own_pulse(multistep, C, at, n_coefficients, step):  # type: ignore[no-untyped-def]
    """Stimulus over a step as a cubic, from coefficients whose last rows are the pulse's begin and end.

    ``step`` is the number of the step after the onset. One-step schemes use the mean alone.
    """
    begin, end = C[at + n_coefficients - N_PULSE], C[at + n_coefficients - N_PULSE + 1]
    if multistep:
        return unit_pulse(begin, end, step)
    zero = step - step
    return mean_pulse(begin, end, step), zero, zero, zero
