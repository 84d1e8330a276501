"""What the stages that score estimators have in common: the files that a trial is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jrflow.stages.stage import Files

if TYPE_CHECKING:
    from jrflow.inference.campaign import Preparation
    from jrflow.inference.trial import Trial


def trial_of(inputs: Files, preparation: Preparation, seed: int, threads: int) -> Trial:
    """Read a trial from noise levels, both campaigns and limits; sets the number of PyTorch's threads."""
    import torch
    import xarray as xr

    from jrflow.inference.campaign import read_trial
    from jrflow.observe.levels import read_levels

    torch.set_num_threads(threads)
    lead_field, levels, table = read_levels(inputs["noise"])
    snr_db = dict(zip(levels, table["snr_db"].values.tolist(), strict=True))
    limits = xr.load_dataset(inputs["limits"], engine="h5netcdf")
    train, test = inputs["train"].with_suffix(".zarr"), inputs["test"].with_suffix(".zarr")
    return read_trial(train, test, lead_field, levels, snr_db, limits, preparation, seed)
