"""Sobol analysis in parts: each part computes features of some simulations; then indices use all features.

Features take most of the time and are computed for each simulation separately. A part writes a small file.
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

#: Number of simulations whose responses are in memory at the same time: 20 MB for the paper's protocol, and
#: 0.3 GB while features are computed. This does not depend on the size of the campaign.
_AT_ONCE = 4096


class Analysis(AtChannel, Resampling, Protocol):
    """All settings of an analysis."""

    @property
    def seed(self) -> int:
        """Seed of the resampling."""
        ...


def parts_of(config: AtChannel, lead_field_file: Path, manifest: Path, n_parts: int) -> list[Path]:
    """Files of the parts of an analysis. Their names contain a hash of the inputs and the simulations.

    Parameters
    ----------
    config
        Setting of the channel.
    lead_field_file
        File of the lead field.
    manifest
        Manifest of the campaign.
    n_parts
        Number of parts; at most the number of simulations.
    """
    n = open_archive(manifest.with_suffix(".zarr")).sizes["sim"]
    ends = np.linspace(0, n, min(n_parts, n) + 1).astype(int)
    digest = hashlib.sha256(config.channel.encode())
    for path in (lead_field_file, manifest):
        digest.update(path.read_bytes())
    folder = manifest.parent.parent / "sensitivity" / f"{manifest.stem}.parts-{digest.hexdigest()[:12]}"
    return [folder / f"{start}-{stop}.nc" for start, stop in pairwise(ends)]


def write_part(config: AtChannel, lead_field_file: Path, manifest: Path, part: Path) -> None:
    """Compute and write the features of one part; a part that already exists is not changed."""
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
    """Compute missing parts, then the indices from all parts, and write them."""
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
    # This also removes files of an interrupted analysis with another number of parts.
    shutil.rmtree(parts[0].parent)
