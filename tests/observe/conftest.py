"""Heads, protocols and recordings that the EEG tests share."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest
import xarray as xr

from jrflow.config.eeg import MontageHead, SourceConfig
from jrflow.model.protocol import EvokedProtocol
from jrflow.model.timing import Timing
from jrflow.observe.channels import montage_info
from jrflow.observe.head import lead_field as make_lead_field

REAL = Path(__file__).parents[3] / "shared" / "real"


@pytest.fixture(scope="session")
def lead_field() -> xr.DataArray:
    return make_lead_field(MontageHead(), SourceConfig())


@pytest.fixture(scope="session")
def few_channels(lead_field: xr.DataArray) -> xr.DataArray:
    """Eight channels, re-referenced to their own average."""
    few = lead_field.isel(channel=slice(None, None, 8))
    return few - few.mean("channel")


@pytest.fixture(scope="session")
def slow_timing() -> Timing:
    """The paper's protocol at a tenth of its sampling frequency."""
    return Timing.of(EvokedProtocol(), 1e-2, 100.0)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """An evoked response with digitised electrodes, two of them bad, and a channel that is no EEG."""
    info = montage_info("biosemi32")
    data = np.random.default_rng(0).standard_normal((32, 120)) * 1e-6
    evoked = mne.EvokedArray(data, info, tmin=-0.2, nave=12, comment="standard", verbose="error")
    eog = mne.EvokedArray(data[:1], mne.create_info(["EOG"], 1000.0, "eog"), tmin=-0.2, verbose="error")
    evoked.add_channels([eog], force_update_info=True)
    evoked.info["bads"] = ["Cz", "Pz"]
    path = tmp_path / "recording-ave.fif"
    evoked.save(path, verbose="error")
    return path


@pytest.fixture(scope="session")
def real_evoked() -> Path:
    return _real("test-ave.fif.gz")


@pytest.fixture(scope="session")
def real_covariance() -> Path:
    return _real("test-cov.fif")


def _real(name: str) -> Path:
    if not (REAL / name).is_file():
        pytest.skip(f"{name} is not beside the project")
    return REAL / name
