"""Apply a trained model to the evoked responses in a file."""

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
    """Estimates for the responses of a file; each response is analysed separately.

    Attributes
    ----------
    estimates
        For each response: ``response`` (its comment), ``n_averages``, ``processing`` (of the recording and
        of the model's responses), and the estimate as JSON.
    responses
        Measured and simulated time courses over (response, channel, time), from
        :func:`jrflow.inference.recordings.predict.estimate`; None if no response could be used.
    failures
        For each response that cannot be used: ``response``, and the reason ``error``.
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
    """Apply a model to every averaged response of a file; a response that cannot be used is skipped.

    Filters, sampling frequency, baseline and projections of a response are also applied to the model's
    responses, the lead field and the noise.

    Parameters
    ----------
    model
        Model that was trained on the protocol of the recording.
    path
        MNE evoked file (-ave.fif).
    lead_field
        Dims (channel, region), uV/mV, for the electrodes of the recording.
    noise
        Noise of the recording; its variance is rescaled to each response's number of averages.
    seed
        Seed of the draws from which the best fit is searched.
    exact
        Whether to also sample the exact posterior of each response that the model explains.

    Raises
    ------
    ValueError
        If the file has no averaged response.
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
    """Estimates and time courses of :func:`infer_each`, with a warning if some responses cannot be used.

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
    model
        See :func:`infer_each`.
    evoked
        MNE evoked file (-ave.fif).
    covariance
        MNE covariance file of raw samples with the same filters as the responses.
    position
        Position of the source, mm, MNI; None for the position in training.
    exact
        See :func:`infer_each`.
    """
    read_evokeds(evoked)  # report errors of the file before errors of the head
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
    """Message with the responses that cannot be used, and the reasons."""
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
    """Responses with unique names: comments, with a number if a comment is missing or not unique."""
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
        f"  share of the measured power: explained by the best fit {of_best}, by the estimates "
        f"{of_estimates}; largest share that a source at this position can explain {ceiling}; measured noise "
        f"{noise}"
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
    """Messages if the noise differs from the given noise, or from the range in training."""
    ratio = found["baseline_power"]
    if ratio > 1:
        yield (
            f"  the noise in the baseline has {ratio:.3g} times the variance of the given noise: that of the "
            "baseline is used (check nave, and that the covariance is of samples with the same filters)"
        )
    elif ratio < 1:
        yield (
            f"  the given noise is too large: the noise in the baseline has {ratio:.3g} times its variance, "
            "so intervals are wider than necessary (check nave, and that the covariance is of samples with "
            "the same filters)"
        )
    if not found["noise_in_range"]:
        yield "  the noise is outside the range in training: estimates and intervals are not valid"


def _intervals(parameters: dict[str, dict[str, float]], model: TrainedModel) -> Iterator[str]:
    for target in model.description.targets:
        p = parameters[target.name]
        unit = "" if target.unit == "1" else f" {target.unit}"
        yield f"  {target.name:4} {p['value']:9.4g}{unit}  (90 %: {p['low']:.4g} .. {p['high']:.4g})"
