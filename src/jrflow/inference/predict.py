"""Applying a trained model to measured evoked responses, and saying whether it can explain them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr

from jrflow.eeg.channels import channel_names
from jrflow.eeg.covariance import whitening
from jrflow.eeg.noise import EvokedNoise, spatial_filter
from jrflow.inference.best_fit import Fits, fit_recording
from jrflow.inference.exact_recording import ExactEstimate, exact_estimate
from jrflow.inference.goodness import Goodness, Seen, baseline_inflation, goodness
from jrflow.inference.model import TrainedModel
from jrflow.inference.observation import noise_shape, observed_inputs
from jrflow.inference.posterior import PosteriorNetwork
from jrflow.inference.trial import Estimates
from jrflow.inference.window import Window


@dataclass(frozen=True)
class Estimate:
    """Parameters inferred from one measured response.

    Attributes
    ----------
    names
        Of the targets.
    value, low, high
        Point estimates and ends of the 90 % intervals, within the prior's range, in the targets' units,
        shape (n_targets,).
    sd
        Standard deviation of the source estimate's noise that the network was told, mV.
    noise_inflation
        Its square over that of the noise given: how much larger the baseline's power is at the network's
        rate. 1 where the noise given suffices.
    noise_in_range
        Whether the network met such noise in training; if not, neither estimates nor intervals hold.
    goodness
        Of the response re-simulated from the point estimates.
    best_fit
        Of the best fit within the range of the model's training: its verdict is that on the model.
    exact
        The response's own posterior; None where it was not asked for, or nothing explains the response.
    """

    names: tuple[str, ...]
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sd: float
    noise_inflation: float
    noise_in_range: bool
    goodness: Goodness
    best_fit: Goodness
    exact: ExactEstimate | None

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON; the parameters as a mapping of name to value, low and high."""
        exact = None
        if self.exact is not None:
            # JSON knows no infinity.
            rhat = self.exact.rhat if np.isfinite(self.exact.rhat) else None
            exact = {"parameters": _by_name(self.names, self.exact), "rhat": rhat}
        rest = {key: getattr(self, key) for key in ("sd", "noise_inflation", "noise_in_range")}
        return {
            "parameters": _by_name(self.names, self), **rest,
            "goodness": asdict(self.goodness), "best_fit": asdict(self.best_fit), "exact": exact,
        }  # fmt: skip


def _by_name(names: Sequence[str], found: Estimate | ExactEstimate) -> dict[str, dict[str, float]]:
    ends = zip(names, found.value, found.low, found.high, strict=True)
    return {name: {"value": float(v), "low": float(a), "high": float(b)} for name, v, a, b in ends}


def estimate(
    model: TrainedModel,
    eeg: xr.DataArray,
    lead_field: xr.DataArray,
    noise: EvokedNoise,
    seed: int = 0,
    *,
    exact: bool = False,
) -> tuple[Estimate, xr.Dataset]:
    """Infer parameters from one measured response.

    Parameters
    ----------
    model
        Trained on the preset and protocol in question.
    eeg
        Dims (channel, time), uV, on the model's times, baseline-corrected, average reference; as from
        :func:`jrflow.eeg.evoked.on_model_grid`.
    lead_field
        Dims (channel, region) with a single region, uV/mV, for the same channels.
    noise
        Of this response: ``noise.averaged(n)`` with its own number of averages.
    seed
        Of the draws from which the best fit is sought.
    exact
        Whether to sample the exact posterior, too, of a response that the model explains: half a minute.

    Returns
    -------
    estimate
        Parameters, intervals and goodness of fit.
    responses
        ``measured``, ``resimulated`` and ``best_fit`` over (channel, time), uV; ``source_estimate``,
        ``source_resimulated`` and ``source_best_fit`` over time, mV.

    Raises
    ------
    ValueError
        If channels differ, the response does not cover what the network sees, or there is no estimate or it
        cannot be simulated.
    """
    d = model.description
    _check_channels(eeg, lead_field, noise)
    window = _window(model, eeg["time"].values)
    noise = replace(noise, times=eeg["time"].values)
    weights, sd = spatial_filter(lead_field, noise)
    inflation = float(baseline_inflation(eeg.values, noise, window))
    told = float(sd * np.sqrt(inflation))
    inputs = window.average(observed_inputs(eeg.values, lead_field, noise, d.training.spatial))
    direction = noise_shape(lead_field, noise, window, d.training.spatial).direction
    d.check_input(direction, inputs.shape[1], float(window.times[0]), channel_names(lead_field))
    found = interval_estimates(model, torch.from_numpy(inputs[None]).float(), np.array([told]))
    value, low, high = found.value[0], found.low[0], found.high[0]
    if not np.isfinite(value).all():
        raise ValueError(
            f"the model of campaign {d.campaign!r} has no answer: none of its draws is possible within the "
            "prior, so that the response is unlike all that it was trained on; see whether its source, "
            "protocol and noise are the recording's, or train on a wider prior"
        )
    measured = weights @ eeg.values
    seen = Seen(window, told, whitening(noise.temporal_covariance()))
    fits = fit_recording(model, (value, low, high), measured, noise.times, seen, seed)
    sources = np.stack([fits.estimated, fits.best])
    of_estimate, of_best = goodness(eeg, sources, lead_field, noise, seen, len(d.parameters))
    in_range = d.sd_range[0] * (1 - 1e-6) <= told <= d.sd_range[1] * (1 + 1e-6)
    is_explained = of_best.verdict == "explained"
    likelihood = replace(fits.likelihood, sd=fits.likelihood.sd * np.sqrt(of_best.source_noise))
    posterior = exact_estimate(likelihood, fits.coordinates, seed) if exact and is_explained else None
    result = Estimate(
        tuple(model.names), value, low, high, told, inflation, in_range, of_estimate, of_best, posterior
    )
    return result, _responses(eeg, lead_field, measured, fits)


def interval_estimates(model: TrainedModel, observed: torch.Tensor, sd: np.ndarray) -> Estimates:
    """Estimates and 90 % intervals, within the prior's range, at any noise.

    Parameters
    ----------
    observed
        What the network sees, mV, shape (n, n_inputs, n_blocks).
    sd
        Noise of a single sample that it is told, mV, shape (n,).

    Returns
    -------
    Estimates
        Shape (n, n_targets); NaN where a density draws nothing that is possible within the prior.
    """
    told = torch.from_numpy(sd).float()
    if isinstance(model.network, PosteriorNetwork):
        return Estimates.of_draws(model.network.draw(observed, told))
    targets = model.description.targets
    bounds = np.array([target.low for target in targets]), np.array([target.high for target in targets])
    # Around the clipped value: that is never further from the truth, and keeps the interval its width.
    value = np.clip(model.network.predict(observed, told), *bounds)
    half_width = np.stack([model.calibration.at(one) for one in sd])
    low, high = (np.clip(x, *bounds) for x in (value - half_width, value + half_width))
    return Estimates(value, low, high)


def _check_channels(eeg: xr.DataArray, lead_field: xr.DataArray, noise: EvokedNoise) -> None:
    ours, theirs = lead_field["channel"].values.tolist(), eeg["channel"].values.tolist()
    if ours != theirs or eeg.dims != ("channel", "time"):
        raise ValueError(
            f"expected a response over (channel, time) of the lead field's {len(ours)} channels in its "
            f"order, received {eeg.dims} with {len(theirs)} channels; bring it there with "
            "jrflow.eeg.evoked.on_model_grid"
        )
    if len(noise.covariance) != len(ours):
        raise ValueError(
            f"expected noise of the lead field's {len(ours)} channels, received a covariance of shape "
            f"{noise.covariance.shape}; make it from this lead field with jrflow.eeg.noise.noise_level"
        )


def _window(model: TrainedModel, times: np.ndarray) -> Window:
    """Blocks of this response that the network sees."""
    training, seen = model.description.training, np.array(model.description.times)
    window = Window.of(times, training.sfreq, training.tmin)
    if len(window.times) < len(seen) or not np.allclose(window.times[: len(seen)], seen, atol=1e-6):
        raise ValueError(
            f"the network sees {seen[0]:.3f}..{seen[-1]:.3f} s ({len(seen)} blocks), the response covers "
            f"{times[0]:.3f}..{times[-1]:.3f} s at {window.sfreq * window.block:g} Hz: bring it to the "
            "model's times (jrflow.eeg.evoked.on_model_grid), or train a model with a protocol (tmin, tmax) "
            "that the recording covers"
        )
    return replace(window, n_blocks=len(seen), times=seen)


def _responses(eeg: xr.DataArray, lead_field: xr.DataArray, measured: np.ndarray, fits: Fits) -> xr.Dataset:
    gain, dims = lead_field.squeeze("region").values, ("channel", "time")
    variables: dict[str, Any] = {
        "measured": (dims, eeg.values, {"units": "uV"}),
        "source_estimate": ("time", measured, {"units": "mV"}),
    }
    for name, source in (("resimulated", fits.estimated), ("best_fit", fits.best)):
        variables[name] = (dims, np.outer(gain, source), {"units": "uV"})
        variables[f"source_{name}"] = ("time", source, {"units": "mV"})
    return xr.Dataset(variables, coords={dim: eeg[dim].values for dim in dims})
