"""Electrodes: their positions, and the channels that two files have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import mne
import numpy as np
import xarray as xr

from jrflow.config.electrodes import standard_montage

#: Sampling frequency that is stored with the electrodes because MNE requires one; it is never used, Hz.
_NOMINAL_SFREQ = 1000.0


def montage_info(montage: str) -> mne.Info:
    """Electrodes of a standard montage in MNE's head frame.

    Parameters
    ----------
    montage
        Name of a montage in MNE. The colin27 montages have two names, depending on the version of MNE
        (``standard_1020`` or ``colin27_1020``); both are accepted.

    Raises
    ------
    ValueError
        If MNE has no EEG montage of that name; the message suggests the closest name.
    """
    standard = standard_montage(montage)
    info = mne.create_info(standard.ch_names, _NOMINAL_SFREQ, "eeg")
    info.set_montage(standard, verbose="error")
    return info


def recording_info(path: str | Path) -> mne.Info:
    """Digitised EEG electrodes of a recording, without bad channels.

    Parameters
    ----------
    path
        MNE raw, epochs, evoked or info file (.fif, .fif.gz).

    Raises
    ------
    ValueError
        If the file is not a recording, has no EEG channel, or an EEG channel has no position.
    FileNotFoundError
        If there is no such file.
    """
    info = read_fif(mne.io.read_info, path, "a recording")
    picks = mne.pick_types(info, eeg=True, exclude="bads")
    if len(picks) == 0:
        raise ValueError(f"{path}: expected EEG channels, found {_types(info)}; give a recording with EEG")
    info = mne.pick_info(info, picks)
    _require_positions(info, path)
    return info


def electrode_positions(info: mne.Info) -> np.ndarray:
    """Positions of the channels in MNE's head frame, m, shape (n_channels, 3)."""
    return np.array([channel["loc"][:3] for channel in info["chs"]], dtype=float)


def info_of(lead_field: xr.DataArray, sfreq: float = _NOMINAL_SFREQ) -> mne.Info:
    """Rebuild the electrodes of a stored lead field, for topographies and evoked responses.

    Parameters
    ----------
    lead_field
        From :func:`jrflow.observe.head.lead_field`; channel names and x, y, z (m, head frame) are used.
    sfreq
        Sampling frequency of the data that the channels will carry, Hz.
    """
    names = channel_names(lead_field)
    positions = np.stack([lead_field[axis].values for axis in "xyz"], axis=-1)
    digitised = mne.channels.make_dig_montage(dict(zip(names, positions, strict=True)), coord_frame="head")
    info = mne.create_info(names, sfreq, "eeg")
    info.set_montage(digitised, verbose="error")
    return info


def channel_names(lead_field: xr.DataArray) -> list[str]:
    """Names of the channels of a lead field, in its order."""
    return [str(name) for name in lead_field["channel"].values]


def require_channels(lead_field: xr.DataArray, found: Iterable[str], where: str | Path) -> list[str]:
    """Names of the channels of the lead field, in its order; all of them must be in the file.

    The file may have more channels; these are left out.

    Parameters
    ----------
    lead_field
        Lead field, dims (channel, region).
    found
        Names of the usable channels of the file.
    where
        Name of the file, for the message.

    Raises
    ------
    ValueError
        If channels are missing. The message lists them, and the channels that are not in the lead field.
    """
    names, found = channel_names(lead_field), list(found)
    missing = [name for name in names if name not in found]
    if missing:
        unexpected = [name for name in found if name not in names]
        raise ValueError(
            f"{where}: channels do not match the lead field of {len(names)} channels. Missing: "
            f"{listed(missing)}. Not in the lead field: {listed(unexpected)}. Rename the channels, or make "
            "the lead field for the electrodes of this recording (head kind: recording)"
        )
    return names


def read_fif(reader: Callable[..., Any], path: str | Path, expected: str) -> Any:
    """Read a file with a function of MNE; report clearly if the file is absent or has other content.

    Parameters
    ----------
    reader
        Function of MNE, such as ``mne.read_cov``.
    path
        A .fif or .fif.gz file.
    expected
        Expected content, for the message.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the function cannot read the file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {str(path)!r} ({expected}, .fif) in {Path.cwd()}")
    try:
        return reader(path, verbose="error")
    except Exception as error:  # MNE raises many types: AttributeError, struct.error, EOFError, ...
        raise ValueError(f"{path}: expected {expected} (.fif), found {_content(path)}") from error


def _content(path: str | Path) -> str:
    """Content of a file that cannot be read, as far as MNE can tell."""
    try:
        found = str(mne.what(path))
    except Exception:  # noqa: BLE001 (a truncated file may raise any type)
        found = "unknown"
    if found == "unknown":
        return "unknown content: another format, or a file that is damaged or was not copied completely"
    return f"{found} that cannot be read: another kind of file, or one that was not copied completely"


def listed(names: list[str], limit: int = 12) -> str:
    """Names for a message; a long list is shortened."""
    if not names:
        return "none"
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _require_positions(info: mne.Info, path: str | Path) -> None:
    positions = electrode_positions(info)
    absent = ~np.isfinite(positions).all(axis=1) | ~positions.any(axis=1)
    if absent.any():
        names = [name for name, none in zip(info["ch_names"], absent, strict=True) if none]
        raise ValueError(
            f"{path}: expected a position for every EEG channel, found none for {listed(names)}; "
            "set a montage in the recording, or mark these channels bad"
        )


def _types(info: mne.Info) -> str:
    return f"channels of type {', '.join(sorted(set(info.get_channel_types())))}"
