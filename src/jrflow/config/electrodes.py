"""Electrodes of a head: the standard montages that MNE knows, and how many channels a head has."""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import TYPE_CHECKING

from jrflow.config.eeg import ForwardHead, Head, MontageHead
from jrflow.config.suggest import did_you_mean

if TYPE_CHECKING:
    import mne

#: MNE 1.13 renamed the montages standard_* to colin27_*: both spellings are accepted with every version.
_FAMILIES = ("standard_", "colin27_")
#: Names of near-infrared sources and detectors.
_OPTODE = re.compile(r"[SD]\d+")


def standard_montage(name: str) -> mne.channels.DigMontage:
    """Look up a standard EEG montage by its name.

    Parameters
    ----------
    name
        Any name that MNE accepts; of the families standard_* and colin27_*, which are the same, either one.

    Raises
    ------
    ValueError
        If MNE knows no montage of that name, or it is not one of EEG electrodes.
    """
    import mne

    known = mne.channels.get_builtin_montages()
    other = [name.replace(one, two, 1) for one, two in (_FAMILIES, _FAMILIES[::-1]) if name.startswith(one)]
    accepted = next((spelling for spelling in (name, *other) if spelling in known), None)
    if accepted is None:
        names = [one for one in known if not one.startswith("artinis")]
        names += [one.replace("colin27_", "standard_") for one in names if one.startswith("colin27_")]
        raise ValueError(f"unknown montage {name!r}{did_you_mean(name, names)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        montage = mne.channels.make_standard_montage(accepted)
    if all(_OPTODE.fullmatch(channel) for channel in montage.ch_names):
        raise ValueError(
            f"montage {name!r} is one of near-infrared optodes; expected EEG electrodes, such as biosemi64"
        )
    return montage


@cache
def channel_count(head: Head) -> int:
    """Count the good EEG channels of a head.

    Raises
    ------
    ValueError
        If the montage is unknown.
    OSError
        If the head's file cannot be read.
    """
    import mne

    if isinstance(head, MontageHead):
        return len(standard_montage(head.montage).ch_names)
    if isinstance(head, ForwardHead):
        info = mne.read_forward_solution(head.path, verbose="error")["info"]
    else:
        info = mne.io.read_info(head.path, verbose="error")
    return len(mne.pick_types(info, eeg=True, exclude="bads"))
