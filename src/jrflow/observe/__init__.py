"""From sources to EEG channels, and from EEG channels to source estimates."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import xarray as xr
from pydantic import ValidationError

from jrflow.config.eeg import ForwardHead, Head, MontageHead, RecordingHead, SourceConfig
from jrflow.model.arguments import ArgumentTypeError, described, faults_of, number, whole
from jrflow.observe import head
from jrflow.observe.evoked import to_evoked
from jrflow.observe.head import MOMENT_DENSITY
from jrflow.observe.parcels import Parcels

__all__ = ["Parcels", "lead_field", "to_evoked"]

_DEFAULT = SourceConfig()


def lead_field(
    montage: str = "biosemi64",
    *,
    recording: str | Path | None = None,
    forward: str | Path | None = None,
    position: tuple[float, float, float] = _DEFAULT.position,
    extent: float = _DEFAULT.extent,
    moment: float = _DEFAULT.moment,
    parcels: Parcels | int | None = None,
    moment_density: float = MOMENT_DENSITY,
) -> xr.DataArray:
    """Lead field of one cortical patch, or of regions that cover the cortex, without a configuration file.

    Parameters
    ----------
    montage
        Name of a montage in MNE; not used if a recording or a forward solution is given.
    recording
        MNE raw, epochs, evoked or info file; its digitised electrodes are used.
    forward
        MNE forward solution (-fwd.fif) with surface sources.
    position
        Centre of the patch, mm, MNI coordinates.
    extent
        Radius of the patch along the cortex, mm.
    moment
        Dipole moment of the whole patch per mV of source, nA m / mV.
    parcels
        Regions of the cortex, or their number; position, extent and moment of the patch are then not used.
    moment_density
        Dipole moment of the regions per area and mV of source, nA m / (mV mm²).

    Returns
    -------
    xr.DataArray
        Dims (channel, region), uV/mV, average reference; see :func:`jrflow.observe.head.lead_field` and
        :func:`jrflow.observe.head.parcel_lead_field`.

    Raises
    ------
    ValueError
        If both a recording and a forward solution are given, and in the cases of
        :func:`jrflow.observe.head.lead_field`.
    """
    chosen = _head(montage, recording, forward)
    if parcels is not None:
        if not isinstance(parcels, Parcels):
            parcels = Parcels.of_size(whole("parcels", parcels, 2))
        density = number("moment_density", moment_density, "above 0, in nA m / (mV mm²)", above=0)
        return head.parcel_lead_field(chosen, parcels, density)
    try:
        source = SourceConfig(
            position=position,
            extent=number("extent", extent, "a radius above 0, in mm", above=0),
            moment=number("moment", moment, "a moment above 0, in nA m / mV", above=0),
        )
    except ValidationError as error:
        raise ValueError(faults_of(error, "lead_field")) from None
    return head.lead_field(chosen, source)


def _head(montage: str, recording: str | Path | None, forward: str | Path | None) -> Head:
    """The head that is asked for; a ValueError if there are several, or a type is wrong."""
    if recording is not None and forward is not None:
        raise ValueError("give a recording or a forward solution, not both: each has its own electrodes")
    for name, path in (("recording", recording), ("forward", forward)):
        if path is not None and not isinstance(path, str | PathLike):
            raise ArgumentTypeError(f"{name}: expected a path, received {described(path)}")
    if not isinstance(montage, str):
        raise ArgumentTypeError(f"montage: expected the name of a montage, received {described(montage)}")
    if recording is not None:
        return RecordingHead(kind="recording", path=str(recording))
    if forward is not None:
        return ForwardHead(kind="forward", path=str(forward))
    return MontageHead(montage=montage)
