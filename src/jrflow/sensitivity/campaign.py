"""From a campaign's archive to its sensitivity analysis, at one channel."""

from __future__ import annotations

from typing import Protocol

import xarray as xr

from jrflow.config.suggest import did_you_mean
from jrflow.observe.features import erp_features
from jrflow.observe.projection import to_eeg
from jrflow.sensitivity.oat import one_at_a_time
from jrflow.sensitivity.sobol import sobol_indices


class AtChannel(Protocol):
    """Setting of the channel; the section ``sensitivity`` of a configuration has it."""

    @property
    def channel(self) -> str:
        """Name of a channel, or 'strongest'."""
        ...


class Resampling(Protocol):
    """Setting of the bootstrap; the section ``sensitivity`` of a configuration has it."""

    @property
    def n_bootstrap(self) -> int:
        """Number of resamples."""
        ...


def sobol_features(campaign: xr.Dataset, lead_field: xr.DataArray, config: AtChannel) -> xr.Dataset:
    """Features of the evoked response at the configured channel, for each simulation.

    Parameters
    ----------
    campaign
        Archive of a campaign, or a part of its simulations. Features of a simulation do not depend on the
        other simulations.
    lead_field
        Dims (channel, region), uV/mV.
    config
        Setting of the channel.

    Returns
    -------
    Features from :func:`jrflow.observe.features.erp_features`, with the channel as attribute.
    """
    channel = choose_channel(lead_field, config.channel)
    evoked = _at_channel(campaign, lead_field, channel)
    times, sims = evoked["time"].values, campaign["sim"].values
    return erp_features(evoked.values, times, units="uV", sim=sims).assign_attrs(channel=channel)


def analyse_sobol(
    campaign: xr.Dataset, features: xr.Dataset, config: Resampling, *, seed: int = 0
) -> xr.Dataset:
    """Sobol indices of the features of a campaign.

    Parameters
    ----------
    campaign
        Archive of a saltelli campaign.
    features
        Features of all simulations of the campaign, from :func:`sobol_features`.
    config
        Number of resamples.
    seed
        Seed of the resampling.

    Returns
    -------
    Indices from :func:`jrflow.sensitivity.sobol.sobol_indices`, with channel and preset as attributes.
    """
    indices = sobol_indices(campaign, features, n_bootstrap=config.n_bootstrap, seed=seed)
    return indices.assign_attrs(channel=features.attrs["channel"], preset=campaign.attrs["preset"])


def analyse_one_at_a_time(campaign: xr.Dataset, lead_field: xr.DataArray, config: AtChannel) -> xr.Dataset:
    """Heat maps and effects at the configured channel.

    Returns
    -------
    Results of :func:`jrflow.sensitivity.oat.one_at_a_time`, with the channel as attribute.
    """
    channel = choose_channel(lead_field, config.channel)
    return one_at_a_time(campaign, _at_channel(campaign, lead_field, channel)).assign_attrs(channel=channel)


def choose_channel(lead_field: xr.DataArray, channel: str) -> str:
    """Replace 'strongest' by the name of the channel with the largest gain.

    Raises
    ------
    ValueError
        If there is no channel of that name.
    """
    names = [str(name) for name in lead_field["channel"].values]
    if channel == "strongest":
        return names[int(abs(lead_field).max("region").argmax("channel"))]
    if channel not in names:
        raise ValueError(
            f"sensitivity.channel: no channel {channel!r} in the lead field{did_you_mean(channel, names)}"
        )
    return channel


def _at_channel(campaign: xr.Dataset, lead_field: xr.DataArray, channel: str) -> xr.DataArray:
    """Evoked response at one channel over (sim, time), uV, baseline-corrected."""
    return to_eeg(campaign["source"].load(), lead_field.sel(channel=[channel])).isel(channel=0, drop=True)
