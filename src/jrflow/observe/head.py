"""Lead fields: the EEG that a patch of cortex produces, per mV of the model's source."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import xarray as xr
from scipy.sparse import coo_array

from jrflow.config.eeg import ForwardHead, Head, MontageHead, RecordingHead, SourceConfig
from jrflow.model import MODEL
from jrflow.model.plausible import remark, warn
from jrflow.observe.channels import electrode_positions, montage_info, read_fif, recording_info
from jrflow.observe.cortex import (
    N_VERTICES,
    Patch,
    fit_sphere,
    fsaverage_patch,
    grow_patch,
    nearest_vertex,
    place_in_head,
)
from jrflow.observe.parcels import Parcels

#: MNE's default shells, relative to the head's radius: brain, cerebrospinal fluid, skull, scalp.
_SHELLS = (0.90, 0.92, 0.97, 1.0)

#: Radius of a patch that covers a whole hemisphere, mm.
_HEMISPHERE = 300.0

#: Dipole moment per area of cortex and mV of source, nA m / (mV mm²). At the default parameters the evoked
#: source reaches 60 mV; 0.3 nA m / mm² then are below the largest density of cortex, 1 to 2 nA m / mm²
#: (Murakami & Okada 2015, NeuroImage 111:49), and a patch of 3 cm² gives some microvolts on the scalp.
MOMENT_DENSITY = 0.005

#: Name of the region if a model has a single column.
_REGION = "column"


def lead_field(head: Head, source: SourceConfig) -> xr.DataArray:
    """EEG of a cortical patch per mV of the model's source, average reference.

    The dipole moment of the patch points along the outward normals of the cortex and is divided equally
    among its vertices. With a montage or a recording, the head is MNE's sphere of four shells, fitted to the
    electrodes. The cortex is that of fsaverage, moved into the head by
    :func:`jrflow.observe.cortex.place_in_head`. With a forward solution, head and cortex are those of the
    file.

    Parameters
    ----------
    head
        A standard montage, a recording with digitised electrodes, or an MNE forward solution.
    source
        Position (mm, MNI; for a forward solution: surface RAS of its subject, which is MNI for
        fsaverage), radius (mm) and moment (nA m / mV) of the patch.

    Returns
    -------
    xr.DataArray
        Dims (channel, region), float64, uV/mV. Coordinates: ``x``, ``y``, ``z`` of the channels (m,
        MNE's head frame). Attributes describe head and patch.

    Raises
    ------
    ValueError
        If the montage is unknown, electrodes have no positions or do not form a head, the position is far
        from the cortex, or the patch is larger than a hemisphere or outside the skull.
    FileNotFoundError
        If there is no such recording or forward file.
    """
    _require_plausible(source)
    if isinstance(head, ForwardHead):
        info, gain, attributes = _stored(head, source)
    else:
        info, gain, attributes = _computed(head, source)
    potential = gain.astype(np.float64).mean(axis=1, keepdims=True) * source.moment
    attributes |= {
        "position_requested": list(source.position),
        "position_units": "mm",
        "extent_mm": source.extent,
        "moment_nAm_per_mV": source.moment,
        "n_vertices": gain.shape[1],
    }
    return _labelled(info, potential, [_REGION], attributes)


def parcel_lead_field(head: Head, parcels: Parcels, moment_density: float = MOMENT_DENSITY) -> xr.DataArray:
    """EEG of each region of the cortex per mV of its source, average reference.

    The dipole moment of a region is its area times the moment density. It points along the outward normals
    of the cortex and is divided among the vertices in proportion to their areas. Heads are those of
    :func:`lead_field`.

    Parameters
    ----------
    head
        A standard montage, a recording with digitised electrodes, or an MNE forward solution of fsaverage.
    parcels
        Regions of the cortex.
    moment_density
        Dipole moment per area and mV of source, nA m / (mV mm²).

    Returns
    -------
    xr.DataArray
        Dims (channel, region), float64, uV/mV. Coordinates: ``x``, ``y``, ``z`` of the channels (m, MNE's
        head frame); ``region_x``, ``region_y``, ``region_z`` of the regions (mm, MNI) and ``area`` (mm²).

    Raises
    ------
    ValueError
        In the cases of :func:`lead_field`; if a forward solution is not of fsaverage, or has no source in a
        region.
    """
    if isinstance(head, ForwardHead):
        info, gain, vertices, attributes = _stored_cortex(head)
    else:
        info, gain, vertices, attributes = _computed_cortex(head, parcels)
    region = parcels.region[vertices]
    used = region >= 0
    share = np.where(used, parcels.cortex.areas[vertices], 0.0)
    total = np.bincount(region[used], share[used], minlength=len(parcels))
    if (without := np.flatnonzero(total == 0)).size:
        raise ValueError(
            f"{len(without)} of {len(parcels)} regions contain no source of the forward solution, such as "
            f"{parcels.names[without[0]]!r}: use larger regions or a denser source space"
        )
    moment = share[used] * (parcels.areas / total)[region[used]] * moment_density
    to_regions = coo_array((moment, (np.arange(used.sum()), region[used])), shape=(used.sum(), len(parcels)))
    potential = gain[:, used].astype(np.float64) @ to_regions.tocsr()
    attributes |= {"moment_density_nAm_per_mV_mm2": moment_density, "n_vertices": int(used.sum())}
    found = _labelled(info, potential, list(parcels.names), attributes)
    of_regions = dict(zip(("region_x", "region_y", "region_z"), parcels.centres.T, strict=True))
    return found.assign_coords(
        {name: ("region", values, {"units": "mm"}) for name, values in of_regions.items()}
        | {"area": ("region", parcels.areas, {"units": "mm2"})}
    )


def _labelled(info: mne.Info, gain: np.ndarray, regions: list[str], attributes: dict) -> xr.DataArray:
    """Lead field with average reference, from potentials (n_channels, n_regions) in V/(A m) * nA m/mV."""
    potential = gain * 1e-3  # nV/mV to uV/mV
    potential -= potential.mean(axis=0)
    positions = electrode_positions(info)
    common = {
        "units": "uV/mV",
        "long_name": f"EEG per {MODEL.source.unit} of the source {MODEL.source.name}",
        "reference": "average",
        "orientation": "outward cortical normals",
    }
    return xr.DataArray(
        potential,
        dims=("channel", "region"),
        coords={
            "channel": info["ch_names"],
            "region": regions,
            **{axis: ("channel", positions[:, i], {"units": "m"}) for i, axis in enumerate("xyz")},
        },
        attrs=attributes | common,
        name="lead_field",
    )


def _require_plausible(source: SourceConfig) -> None:
    """Warn of lengths and moments that probably have a wrong unit; refuse patches beyond a hemisphere."""
    if source.extent > _HEMISPHERE:
        raise ValueError(
            f"extent: expected the radius of a patch of cortex in mm, at most {_HEMISPHERE:g} "
            f"(a hemisphere), received {source.extent:g}"
        )
    distance = float(np.linalg.norm(source.position))
    warn(
        [
            remark("position", distance, "distance of the source position from the origin"),
            remark("extent", source.extent),
            remark("moment", source.moment),
        ],
        stacklevel=5,
    )


def patch_forward(info: mne.Info, patch: Patch, centre: np.ndarray, radius: float) -> mne.Forward:
    """Forward solution of a patch in a sphere of four shells, with orientations along the normals.

    Parameters
    ----------
    info
        EEG channels with positions in the head frame.
    patch
        Positions (m) and normals in the head frame.
    centre, radius
        Centre and radius of the sphere, m.

    Raises
    ------
    ValueError
        If a vertex lies outside the brain's shell.
    """
    eccentricity = np.linalg.norm(patch.positions - centre, axis=1).max() / radius
    if eccentricity >= _SHELLS[0]:
        raise ValueError(
            f"the patch reaches {eccentricity:.2f} of the head's radius ({radius * 1e3:.0f} mm), but the "
            f"brain ends at {_SHELLS[0]:.2f}: choose another source position or a smaller extent, or give a "
            "forward solution of a realistic head (head kind: forward)"
        )
    sphere = mne.make_sphere_model(centre, radius, relative_radii=_SHELLS, verbose="error")
    sources = mne.setup_volume_source_space(
        pos={"rr": patch.positions, "nn": patch.normals},
        sphere=sphere,
        mindist=0.0,
        verbose="error",
    )
    free = mne.make_forward_solution(
        info, trans=None, src=sources, bem=sphere, meg=False, mindist=0.0, verbose="error"
    )
    return mne.convert_forward_solution(free, surf_ori=True, force_fixed=True, verbose="error")


def _computed(head: MontageHead | RecordingHead, source: SourceConfig) -> tuple[mne.Info, np.ndarray, dict]:
    info, centre, radius, attributes = _sphere(head)
    patch = place_in_head(fsaverage_patch(source), centre, radius)
    forward = patch_forward(info, patch, centre, radius)
    attributes |= {"position_found": [float(x) for x in patch.found]}
    return info, forward["sol"]["data"], attributes


def _computed_cortex(
    head: MontageHead | RecordingHead, parcels: Parcels
) -> tuple[mne.Info, np.ndarray, np.ndarray, dict]:
    """Gain (n_channels, n_vertices) of all vertices that are in a region, and these vertices."""
    info, centre, radius, attributes = _sphere(head)
    cortex, vertices = parcels.cortex, np.flatnonzero(parcels.region >= 0)
    patch = Patch(vertices, cortex.positions[vertices], cortex.normals[vertices], np.zeros(3))
    forward = patch_forward(info, place_in_head(patch, centre, radius), centre, radius)
    return info, forward["sol"]["data"], vertices, attributes


def _sphere(head: MontageHead | RecordingHead) -> tuple[mne.Info, np.ndarray, float, dict]:
    """Channels, centre and radius (m) of the sphere through the electrodes, and attributes."""
    if isinstance(head, MontageHead):
        info, label = montage_info(head.montage), head.montage
    else:
        info, label = recording_info(head.path), Path(head.path).name
    centre, radius = fit_sphere(electrode_positions(info))
    attributes = {
        "head": f"{head.kind} {label}",
        "head_model": "sphere of four shells",
        "sphere_centre": [float(x) for x in centre],
        "sphere_radius": radius,
        "cortex": "fsaverage5, white surface",
    }
    return info, centre, radius, attributes


def _stored(head: ForwardHead, source: SourceConfig) -> tuple[mne.Info, np.ndarray, dict]:
    forward, attributes = _read_forward(head)
    columns, found = _stored_patch(forward, source)
    attributes |= {"position_found": [float(x) for x in found]}
    return forward["info"], forward["sol"]["data"][:, columns], attributes


def _stored_cortex(head: ForwardHead) -> tuple[mne.Info, np.ndarray, np.ndarray, dict]:
    """Gain (n_channels, n_vertices) of the sources that are vertices of fsaverage5, and these vertices."""
    forward, attributes = _read_forward(head)
    subject = forward["src"][0].get("subject_his_id")
    if subject not in ("fsaverage", "fsaverage5"):
        raise ValueError(
            f"{head.path}: expected a forward solution of fsaverage, whose vertices the regions name, found "
            f"one of {subject!r}; morph the source space to fsaverage, or use a montage or a recording"
        )
    used = [surface["vertno"] for surface in forward["src"]]
    known = np.concatenate([vertices < N_VERTICES for vertices in used])
    vertices = np.concatenate([used[0], used[1] + N_VERTICES])[known]
    return forward["info"], forward["sol"]["data"][:, known], vertices, attributes


def _read_forward(head: ForwardHead) -> tuple[mne.Forward, dict]:
    """EEG forward solution of fixed orientation along the cortex's normals, and attributes."""
    path = Path(head.path)
    forward = read_fif(mne.read_forward_solution, path, "a forward solution")
    if len(mne.pick_types(forward["info"], eeg=True)) == 0:
        raise ValueError(
            f"{path}: expected EEG channels, found none; compute the forward solution with eeg=True"
        )
    if forward["src"].kind != "surface":
        raise ValueError(
            f"{path}: expected surface sources (fixed orientation along the cortex's normals), found "
            f"{forward['src'].kind} sources; compute the forward solution on a surface source space"
        )
    forward = mne.pick_types_forward(forward, meg=False, eeg=True, exclude="bads")
    forward = mne.convert_forward_solution(forward, surf_ori=True, force_fixed=True, verbose="error")
    attributes = {
        "head": f"{head.kind} {path.name}",
        "head_model": "as in the forward solution",
        "cortex": "as in the forward solution",
    }
    return forward, attributes


def _stored_patch(forward: mne.Forward, source: SourceConfig) -> tuple[np.ndarray, np.ndarray]:
    """Columns of a fixed-orientation solution that belong to the patch, and its centre (mm, MRI frame)."""
    hemisphere = 0 if source.position[0] < 0 else 1
    surface, first = forward["src"][hemisphere], forward["src"][0]["nuse"] * hemisphere
    to_mri = mne.transforms.invert_transform(forward["mri_head_t"])
    positions = mne.transforms.apply_trans(to_mri, surface["rr"])
    used = surface["vertno"]
    centre = used[nearest_vertex(positions[used], source.position)]
    patch = grow_patch(positions, surface["tris"], centre, source.extent)
    return first + np.flatnonzero(np.isin(used, patch)), positions[centre] * 1e3
