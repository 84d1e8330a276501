"""What a trained model infers from the evoked responses in a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mne
import numpy as np
import xarray as xr

from jrflow.config.eeg import CovarianceNoise, RecordingHead, SourceConfig
from jrflow.inference.recordings.predict import Estimate, estimate
from jrflow.inference.recordings.verdict import headline, sentences
from jrflow.inference.training.model import Description, TrainedModel
from jrflow.limits.chains import reliability
from jrflow.observe.channels import recording_info
from jrflow.observe.evoked import on_model_grid, projected, read_evokeds, recorded_as
from jrflow.observe.head import lead_field as make_lead_field
from jrflow.observe.noise import EvokedNoise, noise_level


@dataclass(frozen=True)
class Inferred:
    """What a model infers from the responses of a file, each by itself.

    Attributes
    ----------
    estimates
        For each response ``response`` (its comment), ``n_averages``, ``processing`` (what was applied to the
        recording and to the model), and the estimate as JSON.
    responses
        Measured and simulated time courses over (response, channel, time), as from
        :func:`jrflow.inference.recordings.predict.estimate`; None where no response could be used.
    failures
        Of the other responses: ``response`` and ``error``, why it cannot be used.
    """

    estimates: list[dict[str, Any]]
    responses: xr.Dataset | None
    failures: list[dict[str, str]]


def infer_each(
    model: TrainedModel,
    path: Path,
    lead_field: xr.DataArray,
    noise: EvokedNoise,
    seed: int = 0,
    *,
    exact: bool = False,
) -> Inferred:
    """Apply a model to every averaged response of a file; one that cannot be used leaves the others.

    Filters, sampling frequency, baseline and projections that a response declares are applied to the model's
    responses, lead field and noise.

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

    Raises
    ------
    ValueError
        If the file holds no averaged response.
    FileNotFoundError
        If there is no such file.
    """
    estimates, responses, names = [], [], []
    failures: list[dict[str, str]] = []
    for name, evoked in _named(read_evokeds(path)):
        try:
            found, courses, said = _infer_one(model, evoked, lead_field, noise, seed, exact)
        except ValueError as error:
            failures.append({"response": name, "error": str(error)})
            continue
        estimates.append(
            {"response": name, "n_averages": int(evoked.nave), "processing": said} | found.as_json()
        )
        responses.append(courses)
        names.append(name)
    label = xr.DataArray(np.array(names, dtype=object), dims="response", name="response")
    together = xr.concat(responses, label, join="outer") if responses else None
    return Inferred(estimates, together, failures)


def infer_recordings(
    model: TrainedModel,
    path: Path,
    lead_field: xr.DataArray,
    noise: EvokedNoise,
    seed: int = 0,
    *,
    exact: bool = False,
) -> tuple[list[dict[str, Any]], xr.Dataset]:
    """Estimates and time courses of :func:`infer_each`, with a warning for each response without.

    Raises
    ------
    ValueError
        If no response can be used.
    FileNotFoundError
        If there is no such file.
    """
    found = infer_each(model, path, lead_field, noise, seed, exact=exact)
    if found.responses is None:
        raise ValueError(failures_as_text(found.failures))
    if found.failures:
        warnings.warn(failures_as_text(found.failures), stacklevel=2)
    return found.estimates, found.responses


def infer_file(
    model: TrainedModel, evoked: Path, covariance: Path, position: Sequence[float] | None, *, exact: bool
) -> Inferred:
    """Apply a model to a file with its own electrodes and noise.

    Parameters
    ----------
    model, evoked
        As for :func:`infer_each`.
    covariance
        MNE covariance file of raw samples, filtered as the responses were.
    position
        Of the source, mm, MNI; None: where the model was trained.
    exact
        As for :func:`infer_each`.
    """
    read_evokeds(evoked)  # what is wrong with the file is said before anything of the head
    recording_info(evoked)
    d = model.description
    source = d.source
    if position is not None:
        x, y, z = position
        source = SourceConfig(position=(x, y, z), extent=source.extent, moment=source.moment)
    gain = make_lead_field(RecordingHead(kind="recording", path=str(evoked)), source)
    noise = noise_level(CovarianceNoise(kind="covariance", path=str(covariance)), gain, d.simulation.timing)
    return infer_each(model, evoked, gain, noise, exact=exact)


def failures_as_text(failures: list[dict[str, str]]) -> str:
    """Say which responses cannot be used, and why."""
    return "\n\n".join(f"{one['response']}: no estimate: {one['error']}" for one in failures)


def _infer_one(
    model: TrainedModel,
    evoked: mne.Evoked,
    lead_field: xr.DataArray,
    noise: EvokedNoise,
    seed: int,
    exact: bool,
) -> tuple[Estimate, xr.Dataset, str]:
    d: Description = model.description
    processing = recorded_as(evoked, d.processing.baseline)
    eeg = on_model_grid(evoked, lead_field, d.simulation.timing.times, processing)
    gain, its_noise = projected(evoked, lead_field, noise.averaged(int(evoked.nave)))
    found, courses = estimate(model, eeg, gain, its_noise.processed(processing), seed, exact=exact)
    return found, courses, str(processing.at(d.simulation.sfreq))


def _named(evokeds: list[mne.Evoked]) -> Iterator[tuple[str, mne.Evoked]]:
    """Responses with names that differ: their comments, numbered where they repeat or are missing."""
    comments = [evoked.comment or f"response {number}" for number, evoked in enumerate(evokeds, 1)]
    for number, (comment, evoked) in enumerate(zip(comments, evokeds, strict=True), 1):
        yield (comment if comments.count(comment) == 1 else f"{comment} ({number})"), evoked


def as_text(estimates: list[dict[str, Any]], model: TrainedModel, *, exact: bool = False) -> str:
    """Describe the estimates of :func:`infer_recordings` for a reader at a terminal."""
    return "\n\n".join(_describe(estimate, model, exact) for estimate in estimates)


def _describe(found: dict[str, Any], model: TrainedModel, exact: bool) -> str:
    fit, best = found["goodness"], found["best_fit"]
    lines = [f"{found['response']} ({found['n_averages']} averages): {headline(best['verdict'])}"]
    shares = (best["explained"], fit["explained"], fit["topography_ceiling"], best["noise_share"])
    of_best, of_estimates, ceiling, noise = ("-" if share is None else f"{share:.1%}" for share in shares)
    lines.append(
        f"  the best fit explains {of_best} of the measured response, the estimates {of_estimates}; any time "
        f"course at this place could explain {ceiling}; noise as measured is {noise}"
    )
    lines += [f"  {sentence}" for sentence in sentences(best)]
    lines += _noise(found)
    lines += _intervals(found["parameters"], model)
    if found["exact"] is None:
        lines += ["  no exact posterior: the model does not explain the response"] if exact else []
    else:
        said, is_reliable = reliability(*(found["exact"][key] for key in ("rhat", "ess", "resolved")))
        warning = "" if is_reliable else "; not resolved: do not rely on it"
        lines.append(f"  exact posterior of this response ({said}{warning}):")
        lines += _intervals(found["exact"]["parameters"], model)
    return "\n".join(lines)


def _noise(found: dict[str, Any]) -> Iterator[str]:
    """Say where noise is not what was given, or not what the network was trained for."""
    ratio = found["baseline_power"]
    if ratio > 1:
        yield (
            f"  the baseline holds {ratio:.3g} times the variance of the noise given: the baseline's is used "
            "(check nave, and that the covariance is of samples filtered as the response)"
        )
    elif ratio < 1:
        yield (
            f"  the noise given is overstated: the baseline holds {ratio:.3g} times its variance, and "
            "intervals are wider than necessary (check nave, and that the covariance is of samples filtered "
            "as the response)"
        )
    if not found["noise_in_range"]:
        yield "  the noise lies outside the range met in training: estimates and intervals do not hold"


def _intervals(parameters: dict[str, dict[str, float]], model: TrainedModel) -> Iterator[str]:
    for target in model.description.targets:
        p = parameters[target.name]
        unit = "" if target.unit == "1" else f" {target.unit}"
        yield f"  {target.name:4} {p['value']:9.4g}{unit}  (90 %: {p['low']:.4g} .. {p['high']:.4g})"
