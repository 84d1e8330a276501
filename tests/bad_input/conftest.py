"""Recordings and covariances with one thing wrong each."""

from pathlib import Path

import mne
import numpy as np
import pytest


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of files: what each has wrong is its name."""
    folder = tmp_path_factory.mktemp("recordings")
    montage = mne.channels.make_standard_montage("biosemi64")
    info = mne.create_info(montage.ch_names, 1000.0, "eeg")
    info.set_montage(montage, verbose="error")
    data = 1e-6 * np.random.default_rng(0).standard_normal((64, 1201))
    evoked = mne.EvokedArray(data, info, tmin=-0.2, nave=60, comment="good", verbose="error")
    evoked.save(folder / "good-ave.fif", verbose="error")
    evoked.copy().crop(-0.2, 0.9).save(folder / "short-ave.fif", verbose="error")
    evoked.copy().pick(montage.ch_names[:40]).save(folder / "few-ave.fif", verbose="error")
    wrong = data.copy()
    wrong[3, 100] = np.nan
    broken = mne.EvokedArray(wrong, info, tmin=-0.2, nave=60, comment="broken", verbose="error")
    mne.write_evokeds(folder / "nan-ave.fif", [evoked, broken], verbose="error")
    epochs = mne.EpochsArray(data[None], info, tmin=-0.2, verbose="error")
    epochs.save(folder / "epochs-epo.fif", verbose="error")
    for name, values in {
        "good": np.eye(64) * 1e-12,
        "zero": np.zeros((64, 64)),
        "nan": np.eye(64) * np.nan,
    }.items():
        covariance = mne.Covariance(values, montage.ch_names, bads=[], projs=[], nfree=1000)
        mne.write_cov(folder / f"{name}-cov.fif", covariance, verbose="error")
    (folder / "text-ave.fif").write_text("no recording")
    (folder / "text-cov.fif").write_text("no covariance")
    (folder / "folder-cov.fif").mkdir()
    return folder
