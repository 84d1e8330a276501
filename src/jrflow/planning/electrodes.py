"""Head, noise, channel and recording of a configuration: whether the stages will be able to use them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from jrflow.config.config import Config
from jrflow.config.eeg import CovarianceNoise, ForwardHead, Head, MontageHead, SourceConfig
from jrflow.config.electrodes import standard_montage
from jrflow.config.fault import Fault, Key
from jrflow.config.learning_faults import observed_times
from jrflow.config.suggest import did_you_mean
from jrflow.model.protocol import EvokedProtocol
from jrflow.planning.files import is_file

if TYPE_CHECKING:
    import mne
    import xarray as xr

_HEAD: Key = ("eeg", "head")
_POSITION: Key = ("eeg", "source", "position")
_EVOKED: Key = ("inference", "apply", "evoked")


def electrode_faults(config: Config) -> Iterator[Fault]:
    """Find what lead field, noise levels, channel and recording would stop at.

    Missing files are passed over. For a network only the montage's name is checked: it has no lead field.
    """
    head = config.eeg.head
    if isinstance(head, MontageHead):
        try:
            standard_montage(head.montage)
        except ValueError as error:
            yield Fault((*_HEAD, "montage"), str(error))
            yield from _recording(config, None)
            return
    elif not is_file(head.path):
        yield from _recording(config, None)
        return
    if config.simulation.connectome is None:
        yield from _column(config, head)


def _column(config: Config, head: Head) -> Iterator[Fault]:
    """Compute the lead field, and look at what depends on its channels."""
    lead_field = _lead_field(head, config.eeg.source)
    if isinstance(lead_field, Fault):
        yield lead_field
        yield from _recording(config, None)
        return
    names = [str(name) for name in lead_field["channel"].values]
    channel = config.sensitivity.channel
    if channel not in ("strongest", *names):
        key: Key = ("sensitivity", "channel")
        yield Fault(key, f"no channel {channel!r} in the head{did_you_mean(channel, names)}", (key, _HEAD))
    yield from _noise(config, lead_field)
    yield from _recording(config, lead_field)


@cache
def _lead_field(head: Head, source: SourceConfig) -> xr.DataArray | Fault:
    """Compute the lead field, or say what is wrong with head or source."""
    from jrflow.observe.channels import read_fif, recording_info
    from jrflow.observe.head import lead_field

    try:
        if isinstance(head, MontageHead):
            pass
        elif isinstance(head, ForwardHead):
            import mne

            read_fif(mne.read_forward_solution, head.path, "a forward solution")
        else:
            recording_info(head.path)
    except (OSError, ValueError) as error:
        return Fault((*_HEAD, "path"), str(error))
    if max(map(abs, source.position)) < 1:
        return Fault(
            _POSITION, f"expected a point of the cortex in mm, received {source.position}; are these metres?"
        )
    try:
        return lead_field(head, source)
    except (OSError, ValueError) as error:
        return Fault(_POSITION, str(error), (("eeg", "source"), _HEAD))


def _noise(config: Config, lead_field: xr.DataArray) -> Iterator[Fault]:
    from jrflow.observe.noise import noise_level

    for name, level in config.eeg.noise.items():
        if not isinstance(level, CovarianceNoise) or not is_file(level.path):
            continue
        key: Key = ("eeg", "noise", name, "path")
        try:
            covariance = noise_level(level, lead_field, config.simulation.timing).covariance
        except (ArithmeticError, OSError, ValueError) as error:
            yield Fault(key, str(error), (key, _HEAD))
            continue
        if not np.isfinite(covariance).all() or np.trace(covariance) <= 0:
            yield Fault(
                key, f"{level.path}: expected a covariance of finite numbers, not all 0", (key, _HEAD)
            )


def _recording(config: Config, lead_field: xr.DataArray | None) -> Iterator[Fault]:
    """Look at every evoked response that a model will be applied to."""
    from jrflow.observe.evoked import read_evokeds

    apply = config.inference.apply
    if (
        apply is None
        or not is_file(apply.evoked)
        or not isinstance(config.simulation.protocol, EvokedProtocol)
    ):
        return
    try:
        evokeds = read_evokeds(apply.evoked)
    except (ArithmeticError, LookupError, OSError, ValueError) as error:
        yield Fault(_EVOKED, str(error))
        return
    for number, evoked in enumerate(evokeds):
        message = _response(config, evoked, lead_field)
        if message:
            yield Fault(_EVOKED, f"{apply.evoked}, response {number + 1} ({evoked.comment!r}): {message}", (
                _EVOKED, _HEAD, ("simulation",), ("inference", "training"),
            ))  # fmt: skip


def _response(config: Config, evoked: mne.Evoked, lead_field: xr.DataArray | None) -> str:
    """Say what keeps a response from being used; empty if nothing does."""
    from jrflow.observe.evoked import on_model_grid

    wrong = [
        name for name, row in zip(evoked.ch_names, evoked.data, strict=True) if not np.isfinite(row).all()
    ]
    if wrong:
        return f"expected finite numbers, found others in {', '.join(wrong[:5])}; mark such channels bad"
    times, observed = config.simulation.timing.times, observed_times(config)
    covered = evoked.times
    if lead_field is not None:
        try:
            covered = on_model_grid(evoked, lead_field, times)["time"].values
        except (ArithmeticError, ValueError) as error:
            return str(error)
    if not len(observed):
        return ""
    edge = 1.0 / config.simulation.sfreq
    if covered[0] > observed[0] + edge / 2 or covered[-1] < observed[-1] - edge / 2:
        return (
            f"covers {covered[0]:.3f}..{covered[-1]:.3f} s of the model's times, networks observe "
            f"{observed[0]:.3f}..{observed[-1]:.3f} s; give a longer epoch, or choose a protocol (tmin, "
            "tmax) that the recording covers"
        )
    return ""
