from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest
import xarray as xr

import jrflow
from jrflow.config.eeg import MontageHead, RecordingHead, SourceConfig
from jrflow.observe.channels import electrode_positions, info_of, montage_info
from jrflow.observe.cortex import Patch, fit_sphere, fsaverage_patch, place_in_head
from jrflow.observe.head import lead_field as make_lead_field, patch_forward


def central_dipole(radius: float) -> float:
    """Potential (V) at the surface above a radial unit dipole (A m) at the centre of the four shells.

    In shell i the potential is (a_i r + b_i / r^2) cos(angle); it and the normal current are
    continuous, and no current leaves the head.
    """
    sigma = np.array([0.33, 1.0, 0.004, 0.33])
    edges = np.array([0.90, 0.92, 0.97, 1.0]) * radius
    system, right = np.zeros((8, 8)), np.zeros(8)
    system[0, 1], right[0] = 1, 1 / (4 * np.pi * sigma[0])
    for i, r in enumerate(edges[:3]):
        potential, current = np.array([r, r**-2]), np.array([1, -2 * r**-3])
        system[1 + 2 * i, 2 * i : 2 * i + 4] = [*potential, *-potential]
        system[2 + 2 * i, 2 * i : 2 * i + 4] = [*sigma[i] * current, *-sigma[i + 1] * current]
    system[7, 6:] = [1, -2 * radius**-3]
    return float(np.linalg.solve(system, right)[6:] @ [radius, radius**-2])


def test_contract(lead_field: xr.DataArray) -> None:
    assert lead_field.dims == ("channel", "region")
    assert lead_field.dtype == np.float64
    assert lead_field.sizes == {"channel": 64, "region": 1}
    assert lead_field.attrs["units"] == "uV/mV"
    assert abs(lead_field.values.mean()) < 1e-12
    radii = np.linalg.norm(np.stack([lead_field[a] for a in "xyz"], 1) - lead_field.sphere_centre, axis=1)
    np.testing.assert_allclose(radii, lead_field.sphere_radius, rtol=1e-6)


def test_topography_is_focal_over_the_patch(lead_field: xr.DataArray) -> None:
    column = lead_field.sel(region="column")
    assert str(column.idxmax("channel").item()) in {"FC3", "FC5", "F3", "F5"}
    assert column.max() > 0.5  # outward current of 13 nA m: a microvolt or so, positive above it
    assert column.min() < 0


def test_central_dipole_agrees_with_theory() -> None:
    info = montage_info("biosemi64")
    positions = electrode_positions(info)
    centre, radius = fit_sphere(positions)
    up = np.array([[0.0, 0.0, 1.0]])
    patch = Patch(np.array([0]), centre + 1e-5 * up, up, centre)
    potential = patch_forward(info, patch, centre, radius)["sol"]["data"][:, 0]
    cosine = (positions - centre)[:, 2] / radius
    np.testing.assert_allclose(potential, central_dipole(radius) * cosine, atol=0.01 * potential.max())


def test_moment_scales_and_extent_spreads(lead_field: xr.DataArray) -> None:
    double = make_lead_field(MontageHead(), SourceConfig(moment=26.0))
    np.testing.assert_allclose(double, 2 * lead_field, rtol=1e-12)
    point = make_lead_field(MontageHead(), SourceConfig(extent=0.5))
    assert point.n_vertices == 1 < lead_field.n_vertices
    assert float(point.max()) != pytest.approx(float(lead_field.max()), rel=1e-3)


def test_survives_a_file(lead_field: xr.DataArray, tmp_path: Path) -> None:
    lead_field.to_netcdf(tmp_path / "lead_field.nc")
    stored = xr.load_dataarray(tmp_path / "lead_field.nc")
    xr.testing.assert_equal(stored, lead_field)
    info = info_of(stored, sfreq=250.0)
    assert info["sfreq"] == 250.0
    assert info["ch_names"] == list(lead_field["channel"].values)
    np.testing.assert_allclose(electrode_positions(info)[:, 2], lead_field["z"], rtol=1e-6)


def test_public_shortcut(lead_field: xr.DataArray) -> None:
    xr.testing.assert_identical(jrflow.lead_field(), lead_field)
    with pytest.raises(ValueError, match="not both"):
        jrflow.lead_field(recording="a.fif", forward="b-fwd.fif")


def test_unknown_montage_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown montage 'biosemi46'.*biosemi64"):
        jrflow.lead_field("biosemi46")


def test_recording_brings_its_electrodes(recording: Path) -> None:
    lead_field = make_lead_field(RecordingHead(kind="recording", path=str(recording)), SourceConfig())
    assert lead_field.sizes["channel"] == 30
    assert not {"Cz", "Pz", "EOG"} & set(lead_field["channel"].values)
    standard = jrflow.lead_field("biosemi32").sel(channel=lead_field["channel"])
    np.testing.assert_allclose(lead_field, standard - standard.mean("channel"), atol=1e-6)


def test_recording_without_positions_is_refused(tmp_path: Path) -> None:
    info = mne.create_info(["A", "B", "C"], 100.0, "eeg")
    path = tmp_path / "bare-ave.fif"
    mne.EvokedArray(np.zeros((3, 10)), info).save(path, verbose="error")
    with pytest.raises(ValueError, match=r"found none for A, B, C; set a montage"):
        jrflow.lead_field(recording=path)


def test_recording_without_eeg_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "eog-ave.fif"
    mne.EvokedArray(np.zeros((1, 10)), mne.create_info(["E"], 100.0, "eog")).save(path, verbose="error")
    with pytest.raises(ValueError, match="expected EEG channels, found channels of type eog"):
        jrflow.lead_field(recording=path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file: .*none\.fif' \(a recording"):
        jrflow.lead_field(recording=tmp_path / "none.fif")
    with pytest.raises(FileNotFoundError, match=r"no such file: .*none-fwd\.fif' \(a forward solution"):
        jrflow.lead_field(forward=tmp_path / "none-fwd.fif")


def test_patch_outside_the_brain_is_refused() -> None:
    info = montage_info("biosemi64")
    centre, radius = fit_sphere(electrode_positions(info))
    patch = place_in_head(fsaverage_patch(SourceConfig()), centre, radius * 1.4)
    with pytest.raises(ValueError, match="head kind: forward"):
        patch_forward(info, patch, centre, radius)


def test_real_cap(real_evoked: Path) -> None:
    lead_field = jrflow.lead_field(recording=real_evoked)
    assert lead_field.sizes["channel"] == 60
    assert 0.08 < lead_field.sphere_radius < 0.1
    strongest = lead_field.isel(channel=int(lead_field.values[:, 0].argmax()))
    assert strongest["x"] < -0.02  # left
    assert strongest["z"] > 0.05  # above the ears
