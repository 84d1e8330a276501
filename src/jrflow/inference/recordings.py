"""What a trained model says of the evoked responses in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jrflow.eeg.evoked import on_model_grid, read_evokeds
from jrflow.eeg.noise import EvokedNoise
from jrflow.inference.model import TrainedModel
from jrflow.inference.predict import estimate
from jrflow.limits.chains import chains_agree


def infer_recordings(
    model: TrainedModel,
    path: Path,
    lead_field: xr.DataArray,
    noise: EvokedNoise,
    seed: int = 0,
    *,
    exact: bool = False,
) -> tuple[list[dict[str, Any]], xr.Dataset]:
    """Apply a model to every evoked response of a file.

    Parameters
    ----------
    model
        Trained on the protocol of the recording.
    path
        MNE evoked file (-ave.fif).
    lead_field
        Dims (channel, region), uV/mV, for the electrodes of the recording.
    noise
        Of the recording; its variance is rescaled to each response's own number of averages.
    seed
        Of the simulations near each estimate.
    exact
        Whether to sample the exact posterior, too, of each response that the model explains.

    Returns
    -------
    estimates
        For each response ``response`` (its comment), ``n_averages``, and the estimate as JSON.
    responses
        Measured and simulated time courses over (response, channel, time), as from
        :func:`jrflow.inference.predict.estimate`.

    Raises
    ------
    ValueError
        If the recording does not fit the lead field or the model.
    FileNotFoundError
        If there is no such file.
    """
    times = model.description.simulation.timing.times
    estimates, responses, names = [], [], []
    for number, evoked in enumerate(read_evokeds(path)):
        eeg = on_model_grid(evoked, lead_field, times)
        found, courses = estimate(model, eeg, lead_field, noise.averaged(int(evoked.nave)), seed, exact=exact)
        name = evoked.comment or f"response {number + 1}"
        estimates.append({"response": name, "n_averages": int(evoked.nave), **found.as_json()})
        responses.append(courses)
        names.append(name)
    label = xr.DataArray(np.array(names, dtype=object), dims="response", name="response")
    return estimates, xr.concat(responses, label, join="outer")


def as_text(estimates: list[dict[str, Any]], model: TrainedModel, *, exact: bool = False) -> str:
    """Describe the estimates of :func:`infer_recordings` for a reader at a terminal."""
    return "\n\n".join(_describe(estimate, model, exact) for estimate in estimates)


def _describe(found: dict[str, Any], model: TrainedModel, exact: bool) -> str:
    fit, best = found["goodness"], found["best_fit"]
    lines = [f"{found['response']} ({found['n_averages']} averages): {best['verdict']} by the model"]
    lines.append(
        f"  the best fit explains {best['explained']:.1%} of the measured response, the estimates "
        f"{fit['explained']:.1%}; any time course at this place could explain "
        f"{fit['topography_ceiling']:.1%}; noise is expected to be {fit['noise_share']:.1%}"
    )
    lines.append(
        f"  what that leaves is {best['reduced_chi2']:.3g} times as large as assumed noise over all channels "
        f"(the baseline is {best['baseline_chi2']:.3g} times), and {best['source_chi2']:.3g} times as large "
        "as its noise in the source's time course (1: nothing is left)"
    )
    if not found["noise_in_range"]:
        lines.append(
            "  the noise lies outside the range met in training: estimates and intervals do not hold"
        )
    lines += _intervals(found["parameters"], model)
    if found["exact"] is None:
        lines += ["  no exact posterior: the model does not explain the response"] if exact else []
    else:
        said, agree = chains_agree(found["exact"]["rhat"])
        meaning = "1: chains agree" if agree else "chains do not agree: do not rely on it"
        lines.append(f"  exact posterior of this response ({said}; {meaning}):")
        lines += _intervals(found["exact"]["parameters"], model)
    return "\n".join(lines)


def _intervals(parameters: dict[str, dict[str, float]], model: TrainedModel) -> Iterator[str]:
    for target in model.description.targets:
        p = parameters[target.name]
        unit = "" if target.unit == "1" else f" {target.unit}"
        yield f"  {target.name:4} {p['value']:9.4g}{unit}  (90 %: {p['low']:.4g} .. {p['high']:.4g})"
