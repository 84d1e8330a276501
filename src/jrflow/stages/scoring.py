"""What the stages that score estimators have in common: the files that a comparison is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jrflow.stages.stage import Files

if TYPE_CHECKING:
    from jrflow.inference.from_archives import Preparation
    from jrflow.inference.scoring.comparison import Comparison


def comparison_of(inputs: Files, preparation: Preparation, seed: int, threads: int) -> Comparison:
    """Read noise levels, both campaigns and limits; sets the number of PyTorch's threads."""
    import torch
    import xarray as xr

    from jrflow.inference.from_archives import read_comparison
    from jrflow.observe.levels import read_levels

    torch.set_num_threads(threads)
    lead_field, levels, table = read_levels(inputs["noise"])
    snr_db = dict(zip(levels, table["snr_db"].values.tolist(), strict=True))
    limits = xr.load_dataset(inputs["limits"], engine="h5netcdf")
    train, test = inputs["train"].with_suffix(".zarr"), inputs["test"].with_suffix(".zarr")
    return read_comparison(train, test, lead_field, levels, snr_db, limits, preparation, seed)
