from __future__ import annotations

import pytest
import xarray as xr

from jrflow.observe.channels import require_channels


def test_channels_are_matched_by_name(lead_field: xr.DataArray) -> None:
    names = list(lead_field["channel"].values)
    assert require_channels(lead_field, [*names[::-1], "EXG1"], "cap.fif") == names
    with pytest.raises(ValueError, match=r"cap\.fif.*Missing: Fp1\. Not in the lead field: FP1"):
        require_channels(lead_field, ["FP1", *names[1:]], "cap.fif")


def test_many_missing_channels_are_summarised(lead_field: xr.DataArray) -> None:
    with pytest.raises(ValueError, match=r"Missing: Fp1, .* and 52 more\. Not in the lead field: none"):
        require_channels(lead_field, [], "cap.fif")
