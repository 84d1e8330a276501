"""From simulations to sensitivity at a channel; what C and the contact probabilities do in each preset."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from jrflow.config.analysis import SensitivityConfig
from jrflow.config.campaigns import CampaignConfig
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design import Prior, make_design
from jrflow.model import MODEL
from jrflow.sensitivity.campaign import (
    analyse_one_at_a_time,
    analyse_sobol,
    choose_channel,
    sobol_features,
)
from jrflow.simulation import simulate

LOOP = ["C", "a_1", "a_2", "a_3", "a_4"]
CONFIG = SensitivityConfig(n_bootstrap=10)


@pytest.fixture(scope="module")
def lead_field() -> xr.DataArray:
    return xr.DataArray(
        [[0.5], [-2.0], [1.5]],
        dims=("channel", "region"),
        coords={"channel": ["Cz", "FC3", "O2"], "region": ["column"]},
    )


def simulated(design: str, n: int, preset: str, parameters: tuple[str, ...]) -> xr.Dataset:
    """A campaign as its archive would be: parameters as coordinates, the design's attributes."""
    prior = Prior.of(RelativeUniformPrior(kind="relative-uniform", parameters=parameters), preset)
    rows = make_design(CampaignConfig(design=design, n=n, preset=preset, prior="half"), prior, 0)  # type: ignore[arg-type]
    return simulate(rows.drop_vars("varied", errors="ignore"), preset=preset).assign_attrs(rows.attrs)


@pytest.mark.parametrize("preset", ["unit-consistent", "as-published"])
def test_effect_of_the_loop(lead_field: xr.DataArray, preset: str) -> None:
    """As published, changing C or any a_k by half moves the response by less than 1e-4 of its size."""
    maps = analyse_one_at_a_time(simulated("one-at-a-time", 3, preset, MODEL.inferred), lead_field, CONFIG)
    effect = maps["effect"].max("end")
    assert maps.attrs == {"preset": preset, "channel": "FC3"}
    assert maps["end_ratio"].values == pytest.approx(np.tile([0.5, 1.5], (9, 1)))
    if preset == "as-published":
        assert (effect.sel(parameter=LOOP) < 1e-4).all()
        assert (effect.sel(parameter=["A_e", "A_i", "b_e", "b_i"]) > 0.04).all()
    else:
        assert (effect.sel(parameter=LOOP) > 0.04).all()
        assert effect.sel(parameter="a_4").item() == pytest.approx(0.54, abs=0.01)


def test_sobol_indices_of_a_campaign(lead_field: xr.DataArray) -> None:
    """As published, A_i scales the response and b_i its duration; a_4 does nothing."""
    campaign = simulated("saltelli", 64, "as-published", ("A_i", "b_i", "a_4"))
    features = sobol_features(campaign, lead_field, CONFIG)
    indices = analyse_sobol(campaign, features, CONFIG, seed=1)
    assert indices["feature_units"].sel(feature="peak_amplitude") == "uV"
    assert indices.attrs["interval"] == "scrambles"
    total = indices["ST"]
    assert total.sel(feature="peak_amplitude").idxmax("parameter") == "A_i"
    assert total.sel(feature="peak_latency").idxmax("parameter") == "b_i"
    assert (total.sel(parameter="a_4", feature=["peak_amplitude", "rms"]) < 1e-6).all()


def test_channel(lead_field: xr.DataArray) -> None:
    assert choose_channel(lead_field, "strongest") == "FC3"
    assert choose_channel(lead_field, "O2") == "O2"
    with pytest.raises(ValueError, match="no channel 'FC1' in the lead field; did you mean 'FC3'"):
        choose_channel(lead_field, "FC1")
