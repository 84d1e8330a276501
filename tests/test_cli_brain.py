"""jrflow connectome and jrflow lead-field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import jrflow
from jrflow.cli import main


def test_a_connectome_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    brain = jrflow.Connectome.synthetic(12)
    np.savetxt(tmp_path / "w.csv", np.tril(brain.weights), delimiter=",")
    np.savetxt(tmp_path / "l.csv", brain.tract_lengths, delimiter=",")
    assert main(["connectome", "info", str(tmp_path / "w.csv"), "--lengths", str(tmp_path / "l.csv")]) == 0
    printed = capsys.readouterr().out
    assert "12 (region-00, ...)" in printed
    assert "if they send in your file, transpose it" in printed
    assert "1 regions that receive nothing, such as 'region-00'" in printed
    assert main(["connectome", "info", str(tmp_path / "absent.csv")]) == 2
    assert "absent.csv" in capsys.readouterr().err


def test_lead_fields_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "field.nc"
    assert main(["lead-field", "--parcels", "12", "--montage", "biosemi32", "--out", str(out)]) == 0
    assert "32 channels, 12 regions of " in capsys.readouterr().out
    found = xr.load_dataarray(out, engine="h5netcdf")
    np.testing.assert_array_equal(found, jrflow.lead_field("biosemi32", parcels=12))

    parcels = jrflow.Parcels.of_size(12)
    brain = jrflow.Connectome.synthetic(12, centres=parcels.centres, names=parcels.names)
    content = {"weights": brain.weights, "names": np.array(brain.names), "centres": brain.centres}
    np.savez(tmp_path / "brain.npz", **content)
    command = ["lead-field", "--connectome", str(tmp_path / "brain.npz"), "--out", str(out)]
    assert main([*command, "--moment-density", "0.01"]) == 0
    found = xr.load_dataarray(out, engine="h5netcdf")
    assert found["region"].values.tolist() == list(brain.names)
    assert found.attrs["moment_density_nAm_per_mV_mm2"] == 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parcels", "12", "--out", "field.csv"], "--out: expected a netCDF file"),
        (["--parcels", "1", "--out", "field.nc"], "n: expected a whole number from 2"),
        (
            ["--connectome", "w.csv", "--out", "field.nc"],
            "w.csv: expected centres of the regions, found none",
        ),
        (["--parcels", "12", "--montage", "no-such", "--out", "field.nc"], "no-such"),
    ],
)
def test_impossible_lead_fields_are_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    np.savetxt("w.csv", np.ones((3, 3)), delimiter=",")
    assert main(["lead-field", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["w.csv"]
