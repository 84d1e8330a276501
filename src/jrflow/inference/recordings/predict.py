"""Applying a trained model to measured evoked responses, and saying whether it can explain them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr

from jrflow.inference.networks.posterior import PosteriorNetwork
from jrflow.inference.recordings.baseline import BaselineNoise, baseline_noise
from jrflow.inference.recordings.best_fit import Fits, fit_recording
from jrflow.inference.recordings.exact import ExactEstimate, exact_estimate
from jrflow.inference.recordings.goodness import goodness
from jrflow.inference.recordings.matching import held, match, require_match
from jrflow.inference.recordings.verdict import Goodness
from jrflow.inference.scoring.comparison import Estimates
from jrflow.inference.training.model import Description, TrainedModel
from jrflow.observe.channels import channel_names
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import Observation
from jrflow.observe.processing import Processing
from jrflow.observe.window import Window

#: A mean of the baseline below this fraction of the response's peak is rounding.
_ROUNDING = 1e-5


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
        Standard deviation of the source estimate's noise on which the network is conditioned, mV.
    noise_inflation
        Factor by which the variance of the noise given is too small, as the baseline shows; 1 where it
        suffices.
    baseline_power
        Variance of the baseline's noise over that of the noise given; 1 where chance explains the difference.
        Below 1 the noise given is too large: intervals are wider than necessary.
    noise_in_range
        Whether the network's training included such noise; if not, neither estimates nor intervals hold.
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
    baseline_power: float
    noise_in_range: bool
    goodness: Goodness
    best_fit: Goodness
    exact: ExactEstimate | None

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON; the parameters as a mapping of name to value, low and high."""
        exact = None
        if self.exact is not None:
            exact = {
                "parameters": _by_name(self.names, self.exact), "rhat": self.exact.rhat,
                "ess": self.exact.ess, "resolved": self.exact.resolved,
            }  # fmt: skip
        rest = {
            key: getattr(self, key) for key in ("sd", "noise_inflation", "baseline_power", "noise_in_range")
        }
        content = {
            "parameters": _by_name(self.names, self), **rest,
            "goodness": asdict(self.goodness), "best_fit": asdict(self.best_fit), "exact": exact,
        }  # fmt: skip
        finite: dict[str, Any] = _finite(content)
        return finite


def _finite(content: Any) -> Any:
    """The same without infinite numbers and nan, which JSON does not have: they become null."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float | np.floating):
        return float(content) if np.isfinite(content) else None
    return content


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
        :func:`jrflow.observe.evoked.on_model_grid`.
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
    given = network_input(model, eeg, lead_field, noise)
    eeg, noise = given.eeg, given.noise
    found = interval_estimates(model, given.observed[None], np.array([given.sd]))
    value, low, high = found.value[0], found.low[0], found.high[0]
    if not np.isfinite(value).all():
        raise ValueError(
            f"the model of campaign {d.campaign!r} gives no estimate: none of its draws lies within the "
            f"prior, so the response differs from all training responses; check that source, protocol and "
            f"noise agree with the recording, or train on a wider prior"
        )
    every_sample = replace(
        Observation.of_electrodes("projected", lead_field, noise, given.observation.epoch.every_sample()),
        sd=given.observation.sd,
    )
    (measured,) = every_sample.of_channels(eeg.values)
    fits = fit_recording(model, (value, low, high), measured, every_sample, given.observation, seed)
    sources, tangents = np.stack([fits.estimated, fits.best]), [None, fits.tangent]
    of_estimate, of_best = goodness(eeg, sources, lead_field, noise, given.observation, tangents)
    is_explained = of_best.verdict == "explained"
    likelihood = replace(fits.likelihood, sd=fits.likelihood.sd * np.sqrt(of_best.source_noise))
    posterior = exact_estimate(likelihood, fits.coordinates, seed) if exact and is_explained else None
    result = Estimate(
        tuple(model.names), value, low, high, given.sd, given.baseline.inflation, given.baseline.shown,
        given.noise_in_range, of_estimate, of_best, posterior,
    )  # fmt: skip
    return result, _responses(eeg, lead_field, measured, fits)


@dataclass(frozen=True)
class NetworkInput:
    """What a network observes of one recording, and on which noise it is conditioned.

    Attributes
    ----------
    observed
        Shape (n_inputs, n_blocks), mV.
    sd
        Noise of a sample on which the network is conditioned, mV.
    noise_in_range
        Whether the network's training included such noise.
    baseline
        Noise in the response's baseline.
    eeg, noise
        The response with the baseline correction of the training; its noise, at its times.
    observation
        Of the source estimate, averages over the blocks of which all samples were recorded. Its ``sd`` is
        the noise of a sample at the recording's own processing.
    """

    observed: torch.Tensor
    sd: float
    noise_in_range: bool
    baseline: BaselineNoise
    eeg: xr.DataArray
    noise: EvokedNoise
    observation: Observation


def network_input(
    model: TrainedModel, eeg: xr.DataArray, lead_field: xr.DataArray, noise: EvokedNoise
) -> NetworkInput:
    """Bring a response into the input of a model's network; arguments as of :func:`estimate`.

    Raises
    ------
    ValueError
        If channels differ, the response does not cover what the network observes, or it was processed in a
        way that the network would misread.
    """
    d = model.description
    _check_channels(eeg, lead_field, noise)
    eeg, noise = _corrected(eeg, d), replace(noise, times=eeg["time"].values)
    epoch = _epoch(model, noise)
    observation = Observation.of_electrodes(d.training.spatial, lead_field, noise, epoch)
    found = match(d, noise, observation)
    if found is not None:
        require_match(d, noise, found)
    # The noise that matters to the network is that of its input, not that of a sample.
    of_input = 1.0 if found is None else float(np.sqrt(found.power))
    before = baseline_noise(eeg.values, lead_field.squeeze("region").values, noise, epoch.blocks)
    conditioned_on, in_range = conditioned(observation.sd * of_input, before, d.sd_range)
    observed, start = observation.of_channels(eeg.values), float(epoch.observed_times[0])
    d.check_input(observation.direction, observed.shape[1], start, channel_names(lead_field))
    recorded = replace(epoch, held=None, window=_recorded(epoch.blocks, noise.times))
    projected = Observation.of_electrodes("projected", lead_field, noise, recorded)
    return NetworkInput(
        torch.from_numpy(observed).float(), conditioned_on, in_range, before, eeg, noise,
        replace(projected, sd=conditioned_on / of_input),
    )  # fmt: skip


def conditioned(sd: float, before: BaselineNoise, sd_range: tuple[float, float]) -> tuple[float, bool]:
    """Noise on which a network is conditioned, mV, and whether its training included it.

    A measured noise may miss the range of the training by four of its standard errors; then the end of the
    range is taken.
    """
    conditioned_on, (low, high) = sd * float(np.sqrt(before.inflation)), sd_range
    allowed = 1 + max(4 * before.relative_error, 1e-6)
    if low / allowed <= conditioned_on <= high * allowed:
        return float(np.clip(conditioned_on, low, high)), True
    return conditioned_on, False


def interval_estimates(model: TrainedModel, observed: torch.Tensor, sd: np.ndarray) -> Estimates:
    """Estimates and 90 % intervals, within the prior's range, at any noise.

    Parameters
    ----------
    observed
        What the network observes, mV, shape (n, n_inputs, n_blocks).
    sd
        Noise of a single sample that it is conditioned on, mV, shape (n,).

    Returns
    -------
    Estimates
        Shape (n, n_targets); NaN where a density draws nothing that is possible within the prior.
    """
    conditioned_on = torch.from_numpy(sd).float()
    if isinstance(model.network, PosteriorNetwork):
        return Estimates.of_draws(model.network.draw(observed, conditioned_on))
    targets = model.description.targets
    bounds = np.array([target.low for target in targets]), np.array([target.high for target in targets])
    # Around the clipped value: that is never further from the truth, and keeps the interval its width.
    value = np.clip(model.network.predict(observed, conditioned_on), *bounds)
    half_width = np.stack([model.calibration.at(one) for one in sd])
    low, high = (np.clip(x, *bounds) for x in (value - half_width, value + half_width))
    return Estimates(value, low, high)


def _check_channels(eeg: xr.DataArray, lead_field: xr.DataArray, noise: EvokedNoise) -> None:
    ours, theirs = lead_field["channel"].values.tolist(), eeg["channel"].values.tolist()
    if ours != theirs or eeg.dims != ("channel", "time"):
        raise ValueError(
            f"expected a response over (channel, time) of the lead field's {len(ours)} channels in its "
            f"order, received {eeg.dims} with {len(theirs)} channels; bring it there with "
            "jrflow.observe.evoked.on_model_grid"
        )
    if len(noise.covariance) != len(ours):
        raise ValueError(
            f"expected noise of the lead field's {len(ours)} channels, received a covariance of shape "
            f"{noise.covariance.shape}; make it from this lead field with jrflow.observe.noise.noise_level"
        )


def _corrected(eeg: xr.DataArray, d: Description) -> xr.DataArray:
    """The response with the baseline of the model's training; nothing changes where it has that already."""
    corrected = Processing.of(d.processing).correct(eeg.values, eeg["time"].values)
    is_rounding = abs(corrected - eeg.values).max() <= _ROUNDING * abs(eeg.values).max()
    return eeg if is_rounding else eeg.copy(data=corrected)


def _continued(times: np.ndarray, n: int) -> np.ndarray:
    """Times, s, continued to ``n`` of them."""
    step = (times[-1] - times[0]) / (len(times) - 1)
    return np.concatenate([times, times[-1] + step * np.arange(1, n - len(times) + 1)])


def _recorded(window: Window, times: np.ndarray) -> Window:
    """Blocks of which all samples were recorded."""
    n_blocks = min(window.n_blocks, (len(times) - window.start) // window.block)
    return replace(window, n_blocks=n_blocks, times=window.times[:n_blocks])


def _epoch(model: TrainedModel, noise: EvokedNoise) -> Epoch:
    """What the network observes of a recording with this noise, at its times."""
    d, times = model.description, noise.times
    timing, whole = d.simulation.timing, held(times, d)
    window = _window(model, _continued(times, len(whole)))
    recorded = np.searchsorted(timing.times, times - 1e-9)
    return Epoch(timing.times, timing.period, noise.processing, recorded, whole, window)


def _window(model: TrainedModel, times: np.ndarray) -> Window:
    """Blocks of this response that the network observes."""
    d, expected = model.description, np.array(model.description.times)
    window = Window.of(times, d.training.sfreq, d.training.tmin)
    same = len(window.times) >= len(expected) and np.allclose(
        window.times[: len(expected)], expected, atol=1e-6
    )
    if not same:
        full = d.simulation.timing.times
        raise ValueError(
            f"the network observes {expected[0]:.3f}..{expected[-1]:.3f} s ({len(expected)} blocks), the "
            f"response covers {times[0]:.3f}..{times[-1]:.3f} s at {window.sfreq * window.block:g} Hz: bring "
            f"it to the model's times (epochs from {full[0]:g} to {full[-1]:g} s at "
            f"{d.simulation.sfreq:g} Hz), or train a model with a protocol (simulation.protocol: tmin, tmax) "
            "that the recording covers"
        )
    return replace(window, n_blocks=len(expected), times=expected)


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
