"""Apply a trained model to measured evoked responses, and test whether the model explains them."""

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

#: A change by baseline correction below this fraction of the response's peak is a rounding error.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Estimate:
    """Parameters inferred from one measured response.

    Attributes
    ----------
    names
        Names of the targets.
    value, low, high
        Point estimates and ends of the 90 % intervals, within the prior's range, in the targets' units,
        shape (n_targets,).
    sd
        Standard deviation of the source estimate's noise on which the network is conditioned, mV.
    noise_inflation
        Factor by which the variance of the given noise is too small, compared with the baseline; 1 if it is
        large enough.
    baseline_power
        Variance of the noise in the baseline relative to the given noise; 1 if chance explains the
        difference. If it is below 1, the given noise is too large, and intervals are wider than necessary.
    noise_in_range
        Whether the noise level is in the range of the network's training. If not, estimates and intervals
        are not valid.
    goodness
        Goodness of the response re-simulated from the point estimates.
    best_fit
        Goodness of the best fit within the prior; its verdict is the verdict on the model.
    exact
        Exact posterior of the response; None if it was not requested, or the model does not explain the
        response.
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
        """Convert to JSON; parameters become a mapping of name to value, low and high."""
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
    """Replace infinite numbers and NaN, which JSON does not have, with None (null)."""
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
        Model that was trained on the protocol of the recording.
    eeg
        Dims (channel, time), uV, at the model's times, baseline-corrected, average reference; from
        :func:`jrflow.observe.evoked.on_model_grid`.
    lead_field
        Dims (channel, region) with a single region, uV/mV, for the same channels.
    noise
        Noise of this response: ``noise.averaged(n)`` with its number of averages.
    seed
        Seed of the draws from which the best fit is searched.
    exact
        Whether to also sample the exact posterior of a response that the model explains; takes half a minute.

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
        If channels differ, the response does not cover the times that the network observes, there is no
        estimate, or the estimate cannot be simulated.
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
            f"noise match the recording, or train on a wider prior"
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
    """Observation of one recording for a network, and the noise on which the network is conditioned.

    Attributes
    ----------
    observed
        Observation, mV, shape (n_inputs, n_blocks).
    sd
        Noise of one sample on which the network is conditioned, mV.
    noise_in_range
        Whether the noise level is in the range of the network's training.
    baseline
        Noise in the response's baseline.
    eeg
        Response with the baseline correction of the training.
    noise
        Noise of the response at its times.
    observation
        Observation of the source estimate: averages over blocks whose samples were all recorded. Its ``sd``
        is the noise of one sample with the recording's own processing.
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
    """Convert a response to the input of a model's network; see :func:`estimate` for the arguments.

    Raises
    ------
    ValueError
        If channels differ, the response does not cover the times that the network observes, or its
        processing makes the network's intervals invalid.
    """
    d = model.description
    _check_channels(eeg, lead_field, noise)
    eeg, noise = _corrected(eeg, d), replace(noise, times=eeg["time"].values)
    epoch = _epoch(model, noise)
    observation = Observation.of_electrodes(d.training.spatial, lead_field, noise, epoch)
    found = match(d, noise, observation)
    if found is not None:
        require_match(d, noise, found)
    # The network is conditioned on the noise of its input, not on that of one sample.
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
    """Noise on which a network is conditioned, mV, and whether it is in the range of the training.

    A measured noise may be outside this range by up to four of its standard errors; the end of the range is
    then used.
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
    model
        Trained model.
    observed
        Observations of the network, mV, shape (n, n_inputs, n_blocks).
    sd
        Noise of one sample on which the network is conditioned, mV, shape (n,).

    Returns
    -------
    Estimates
        Shape (n, n_targets); NaN if no draw of a density estimator is possible within the prior.
    """
    conditioned_on = torch.from_numpy(sd).float()
    if isinstance(model.network, PosteriorNetwork):
        return Estimates.of_draws(model.network.draw(observed, conditioned_on))
    targets = model.description.targets
    bounds = np.array([target.low for target in targets]), np.array([target.high for target in targets])
    # Centre intervals on the clipped value: it is never further from the true value, and the width is kept.
    value = np.clip(model.network.predict(observed, conditioned_on), *bounds)
    half_width = np.stack([model.calibration.at(one) for one in sd])
    low, high = (np.clip(x, *bounds) for x in (value - half_width, value + half_width))
    return Estimates(value, low, high)


def _check_channels(eeg: xr.DataArray, lead_field: xr.DataArray, noise: EvokedNoise) -> None:
    ours, theirs = lead_field["channel"].values.tolist(), eeg["channel"].values.tolist()
    if ours != theirs or eeg.dims != ("channel", "time"):
        raise ValueError(
            f"expected a response over (channel, time) of the lead field's {len(ours)} channels in its "
            f"order, received {eeg.dims} with {len(theirs)} channels; convert it with "
            "jrflow.observe.evoked.on_model_grid"
        )
    if len(noise.covariance) != len(ours):
        raise ValueError(
            f"expected noise of the lead field's {len(ours)} channels, received a covariance of shape "
            f"{noise.covariance.shape}; make it from this lead field with jrflow.observe.noise.noise_level"
        )


def _corrected(eeg: xr.DataArray, d: Description) -> xr.DataArray:
    """Response with the baseline of the model's training; unchanged if it already has this baseline."""
    corrected = Processing.of(d.processing).correct(eeg.values, eeg["time"].values)
    is_rounding = abs(corrected - eeg.values).max() <= _ROUNDING * abs(eeg.values).max()
    return eeg if is_rounding else eeg.copy(data=corrected)


def _continued(times: np.ndarray, n: int) -> np.ndarray:
    """Times (s), extended to ``n`` times with the same step."""
    step = (times[-1] - times[0]) / (len(times) - 1)
    return np.concatenate([times, times[-1] + step * np.arange(1, n - len(times) + 1)])


def _recorded(window: Window, times: np.ndarray) -> Window:
    """Blocks whose samples were all recorded."""
    n_blocks = min(window.n_blocks, (len(times) - window.start) // window.block)
    return replace(window, n_blocks=n_blocks, times=window.times[:n_blocks])


def _epoch(model: TrainedModel, noise: EvokedNoise) -> Epoch:
    """Steps from simulated times to the samples of a recording that the network observes."""
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
            f"response covers {times[0]:.3f}..{times[-1]:.3f} s at {window.sfreq * window.block:g} Hz: use "
            f"the model's times (epochs from {full[0]:g} to {full[-1]:g} s at "
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
