"""A Sobol analysis in parts: features of some simulations each, then the indices of all.

The features are most of the work and need one simulation at a time; what a part has found is a small file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import xarray as xr

from jrflow.archive import open_archive
from jrflow.sensitivity.campaign import AtChannel, Resampling, analyse_sobol, sobol_features

#: Simulations whose responses are in memory at once: 20 MB of the paper's protocol, 0.3 GB while features
#: are computed, whatever the size of the campaign.
_AT_ONCE = 4096


class Analysis(AtChannel, Resampling, Protocol):
    """All settings of an analysis."""

    @property
    def seed(self) -> int:
        """Seed of the resampling."""
        ...


def parts_of(config: AtChannel, lead_field_file: Path, manifest: Path, n_parts: int) -> list[Path]:
    """Files of the parts of an analysis; their names hold what they depend on and which simulations.

    Parameters
    ----------
    config
        Channel.
    lead_field_file, manifest
        Lead field, and manifest of the campaign.
    n_parts
        Number of parts; there are no more than simulations.
    """
    n = open_archive(manifest.with_suffix(".zarr")).sizes["sim"]
    ends = np.linspace(0, n, min(n_parts, n) + 1).astype(int)
    digest = hashlib.sha256(config.channel.encode())
    for path in (lead_field_file, manifest):
        digest.update(path.read_bytes())
    folder = manifest.parent.parent / "sensitivity" / f"{manifest.stem}.parts-{digest.hexdigest()[:12]}"
    return [folder / f"{start}-{stop}.nc" for start, stop in pairwise(ends)]


def write_part(config: AtChannel, lead_field_file: Path, manifest: Path, part: Path) -> None:
    """Find the features of the simulations of one part; one that is there already is left alone."""
    if part.exists():
        return
    start, stop = map(int, part.stem.split("-"))
    lead_field = xr.load_dataarray(lead_field_file, engine="h5netcdf")
    campaign = open_archive(manifest.with_suffix(".zarr"))
    found = [
        sobol_features(campaign.isel(sim=slice(at, min(at + _AT_ONCE, stop))), lead_field, config)
        for at in range(start, stop, _AT_ONCE)
    ]
    part.parent.mkdir(parents=True, exist_ok=True)
    unfinished = part.with_name(f"{part.name}.{os.getpid()}.partial")
    xr.concat(found, "sim", combine_attrs="override").to_netcdf(unfinished, engine="h5netcdf")
    unfinished.replace(part)


def join_parts(
    config: Analysis, lead_field_file: Path, manifest: Path, parts: tuple[Path, ...], out: Path
) -> None:
    """Make the parts that are missing, and the indices of all."""
    for part in parts:
        write_part(config, lead_field_file, manifest, part)
    features = xr.concat(
        [xr.load_dataset(part, engine="h5netcdf") for part in parts], "sim", combine_attrs="override"
    )
    campaign = open_archive(manifest.with_suffix(".zarr"))
    indices = analyse_sobol(campaign, features, config, seed=config.seed)
    unfinished = out.with_suffix(".partial")
    indices.to_netcdf(unfinished, engine="h5netcdf")
    unfinished.replace(out)
    # With what an interrupted analysis in another number of parts may have left.
    shutil.rmtree(parts[0].parent)
