"""Failed simulations and montages at the door to EEG."""

from __future__ import annotations

import pytest
import xarray as xr

import jrflow

TWO = [3.0, 4.0]
SHORT = jrflow.EvokedProtocol(n_trials=2, isi=0.1, tmin=-0.02, tmax=0.1, transient=0.02)


def test_a_failed_simulation_is_no_response(lead_field_of_one: xr.DataArray) -> None:
    ds = jrflow.simulate({"A_e": TWO}, protocol=SHORT, max_source=1e-3)
    assert ds.status.values.tolist() == [3, 3]
    for call in (lambda **k: jrflow.to_evoked(ds, sim=1, **k), lambda **k: ds.jrflow.to_evoked(1, **k)):
        with pytest.raises(ValueError, match=r"simulation 1 has status 3 .*allow_failed"):
            call(lead_field=lead_field_of_one)
        assert call(lead_field=lead_field_of_one, allow_failed=True).data.shape[0] == 64


@pytest.fixture(scope="module")
def lead_field_of_one() -> xr.DataArray:
    return jrflow.lead_field()


@pytest.mark.parametrize(
    ("one", "other"), [("standard_1020", "colin27_1020"), ("standard_1005", "colin27_1005")]
)
def test_a_montage_goes_by_both_names(one: str, other: str) -> None:
    xr.testing.assert_equal(jrflow.lead_field(montage=one), jrflow.lead_field(montage=other))
