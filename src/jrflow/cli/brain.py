"""jrflow connectome and jrflow lead-field: connections of a brain, and the EEG of its regions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jrflow.cli.parts import Commands, add_command, add_group, positive

if TYPE_CHECKING:
    from jrflow.observe.parcels import Parcels


def add_brain(commands: Commands) -> None:
    """Add both commands to the command line."""
    parts = add_group(commands, "connectome", "inspect a connectome")
    info = add_command(parts, "info", _info, "describe a connectome, and what is unusual about it")
    info.add_argument(
        "file", type=Path, metavar="FILE", help="TVB's .zip, .npz, .mat, or a table of weights (.csv, .txt)"
    )
    info.add_argument("--lengths", type=Path, metavar="FILE", help="table of tract lengths, mm")

    field = add_command(
        commands, "lead-field", _lead_field, "compute the lead field of regions that cover the cortex"
    )
    regions = field.add_mutually_exclusive_group(required=True)
    regions.add_argument("--parcels", type=positive, metavar="N", help="number of regions of equal area")
    regions.add_argument(
        "--annot", nargs=2, type=Path, metavar=("LH", "RH"), help="FreeSurfer annotations of fsaverage"
    )
    regions.add_argument("--volume", type=Path, metavar="FILE", help="NIfTI image of labels in MNI space")
    regions.add_argument(
        "--connectome", type=Path, metavar="FILE", help="regions around the centres of a connectome"
    )
    head = field.add_mutually_exclusive_group()
    head.add_argument("--montage", default="biosemi64", help="montage of MNE; default: biosemi64")
    head.add_argument("--recording", type=Path, metavar="FILE", help="recording with digitised electrodes")
    head.add_argument("--forward", type=Path, metavar="FILE", help="MNE forward solution of fsaverage")
    field.add_argument(
        "--moment-density",
        type=float,
        metavar="Q",
        help="dipole moment per area and mV of source, nA m / (mV mm2); default: 0.005",
    )
    field.add_argument("--out", type=Path, required=True, metavar="FILE", help="netCDF file to write")


def _info(arguments: argparse.Namespace) -> int:
    from jrflow.model.connectome_files import read_connectome
    from jrflow.model.connectome_report import describe

    rows = describe(read_connectome(arguments.file, arguments.lengths))
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows))
    return 0


def _lead_field(arguments: argparse.Namespace) -> int:
    import numpy as np

    from jrflow.observe import lead_field

    if arguments.out.suffix != ".nc":
        raise ValueError(f"--out: expected a netCDF file (.nc), received {arguments.out}")
    parcels = _parcels(arguments)
    density = {} if arguments.moment_density is None else {"moment_density": arguments.moment_density}
    found = lead_field(
        arguments.montage,
        recording=arguments.recording,
        forward=arguments.forward,
        parcels=parcels,
        **density,
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    found.to_netcdf(arguments.out, engine="h5netcdf")
    size = np.sqrt((found.values**2).mean(axis=0))
    print(
        f"{arguments.out}: {found.sizes['channel']} channels, {found.sizes['region']} regions of "
        f"{parcels.areas.min():.0f} to {parcels.areas.max():.0f} mm2\n"
        f"size of a region (rms over channels): {size.min():.2g} to {size.max():.2g} uV/mV, median "
        f"{np.median(size):.2g}; weakest {parcels.names[size.argmin()]}, strongest "
        f"{parcels.names[size.argmax()]}"
    )
    return 0


def _parcels(arguments: argparse.Namespace) -> Parcels:
    from jrflow.model.connectome_files import read_connectome
    from jrflow.observe.parcels import Parcels

    if arguments.parcels is not None:
        return Parcels.of_size(arguments.parcels)
    if arguments.annot is not None:
        return Parcels.from_annot(*arguments.annot)
    if arguments.volume is not None:
        return Parcels.from_volume(arguments.volume)
    connectome = read_connectome(arguments.connectome)
    if connectome.centres is None:
        raise ValueError(
            f"{arguments.connectome}: expected centres of the regions, found none; give --annot or --volume"
        )
    return Parcels.at_centres(connectome.centres, connectome.names)
