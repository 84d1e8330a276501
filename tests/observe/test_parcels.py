"""Regions of the cortex, and their lead fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mne
import nibabel
import numpy as np
import pytest
import xarray as xr
from nibabel.freesurfer.io import write_annot
from scipy.sparse.csgraph import connected_components

import jrflow
from jrflow.config.eeg import MontageHead
from jrflow.model.connectome import Connectome
from jrflow.observe.channels import electrode_positions, montage_info
from jrflow.observe.cortex import N_VERTICES, Cortex, Patch, fit_sphere, place_in_head
from jrflow.observe.head import parcel_lead_field
from jrflow.observe.parcels import Parcels


def field(parcels: Parcels, density: float = 0.005) -> xr.DataArray:
    return parcel_lead_field(MontageHead(), parcels, density)


def test_the_medial_wall_is_one_piece_between_the_hemispheres() -> None:
    cortex = Cortex.fsaverage5()
    for side in (slice(0, N_VERTICES), slice(N_VERTICES, None)):
        wall = np.flatnonzero(~cortex.cortical[side]) + (side.start or 0)
        assert connected_components(cortex.edges[wall][:, wall])[0] == 1
        # FreeSurfer's label of the medial wall has 888 vertices on the left and 881 on the right.
        assert 650 < len(wall) < 900
        assert np.abs(cortex.positions[wall, 0]).mean() < 8e-3
    # Fischl et al. 1999: the white surface of a hemisphere has about 600 to 700 cm² at this resolution.
    assert 110_000 < cortex.areas[cortex.cortical].sum() < 140_000


@pytest.mark.parametrize("n", [2, 5, 68, 1000])
def test_regions_cover_the_cortex_in_connected_parts_of_nearly_equal_area(n: int) -> None:
    parcels = Parcels.of_size(n)
    cortex = parcels.cortex
    np.testing.assert_array_equal(parcels.region >= 0, cortex.cortical)
    assert len(parcels.names) == len(set(parcels.names)) == n
    for side, left in (("lh", True), ("rh", False)):
        own = np.array([name.startswith(side) for name in parcels.names])
        np.testing.assert_allclose(parcels.areas[own], parcels.areas[own].mean(), rtol=0.12)
        assert ((parcels.centres[own, 0] < 0) == left).all() or n < 10
    for k in range(n):
        members = np.flatnonzero(parcels.region == k)
        assert connected_components(cortex.edges[members][:, members])[0] == 1
        assert k in parcels.region[(np.abs(cortex.positions * 1e3 - parcels.centres[k]) < 1e-9).all(axis=1)]
    np.testing.assert_array_equal(parcels.neighbours, parcels.neighbours.T)
    assert not np.diagonal(parcels.neighbours).any()
    if n > 2:
        assert parcels.neighbours.any(axis=1).sum() >= n - 1
    np.testing.assert_array_equal(Parcels.of_size(n).region, parcels.region)


def test_finer_regions_divide_the_same_current() -> None:
    """However the cortex is divided, all regions together are the same dipoles."""
    whole = field(Parcels.of_size(2)).sum("region")
    for n in (10, 200):
        np.testing.assert_allclose(field(Parcels.of_size(n)).sum("region"), whole, atol=1e-9)
    np.testing.assert_allclose(field(Parcels.of_size(10), 0.02), 4 * field(Parcels.of_size(10)))


def test_a_region_s_lead_field_is_mne_s_for_its_dipoles() -> None:
    """MNE projects a source estimate whose vertices have the region's moments."""
    parcels = Parcels.of_size(68)
    k, cortex = 11, parcels.cortex
    vertices = np.flatnonzero(parcels.region == k)
    info = montage_info("biosemi64")
    centre, radius = fit_sphere(electrode_positions(info))
    patch = Patch(vertices, cortex.positions[vertices], cortex.normals[vertices], np.zeros(3))
    placed = place_in_head(patch, centre, radius)
    dipoles = mne.Dipole(
        np.zeros(len(vertices)), placed.positions, cortex.areas[vertices] * 0.005e-9, placed.normals,
        np.full(len(vertices), 100.0),
    )  # fmt: skip
    sphere = mne.make_sphere_model(centre, radius, relative_radii=(0.9, 0.92, 0.97, 1.0), verbose="error")
    forward, _ = mne.make_forward_dipole(dipoles, sphere, info, verbose="error")
    microvolts = forward["sol"]["data"] @ (cortex.areas[vertices] * 0.005e-9) * 1e6
    np.testing.assert_allclose(field(parcels)[:, k], microvolts - microvolts.mean(), rtol=1e-5, atol=1e-9)


def test_responses_are_microvolts() -> None:
    """At the default parameters, where all regions respond alike, and where one does."""
    source = jrflow.simulate()["source"].values
    size = np.ptp(source)
    gain = field(Parcels.of_size(200))
    assert 1 < size * np.abs(gain).max("channel").median() < 30
    assert 10 < size * np.abs(gain.sum("region")).max() < 100


def test_the_lead_field_knows_its_regions() -> None:
    found = jrflow.lead_field("standard_1020", parcels=10)
    parcels = jrflow.Parcels.of_size(10)
    assert found["region"].values.tolist() == list(parcels.names)
    np.testing.assert_array_equal(found["area"], parcels.areas)
    np.testing.assert_array_equal(found["region_y"], parcels.centres[:, 1])
    assert found.attrs["moment_density_nAm_per_mV_mm2"] == 0.005
    np.testing.assert_allclose(found.mean("channel"), 0, atol=1e-12)
    brain = Connectome.synthetic(10, centres=parcels.centres, names=parcels.names)
    ds = jrflow.simulate({"G": 1.0}, connectome=brain, protocol=jrflow.EvokedProtocol(n_trials=2))
    evoked = jrflow.to_evoked(ds, sim=0, lead_field=found)
    expected = found.values @ ds["source"].values[0]
    expected = expected - expected[:, evoked.times <= 0].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(evoked.data * 1e6, expected, rtol=1e-4, atol=1e-4)


def test_annotations_and_images_give_their_regions(tmp_path: Path) -> None:
    parcels = Parcels.of_size(6)
    files = []
    for side, half in (("lh", parcels.region[:N_VERTICES]), ("rh", parcels.region[N_VERTICES:])):
        own = np.unique(half[half >= 0])
        number = np.where(half >= 0, np.searchsorted(own, half) + 1, 0)
        colours = np.column_stack([np.arange(4) * 9 + 1, np.arange(4) * 7, np.arange(4), np.zeros(4)])
        files.append(tmp_path / f"{side}.six.annot")
        names = ["Medial_wall", *(f"part{k}" for k in range(3))]
        write_annot(files[-1], number, colours.astype(int), names, fill_ctab=True)
    read = Parcels.from_annot(*files)
    assert read.names == tuple(f"{side}-part{k}" for side in ("lh", "rh") for k in range(3))
    np.testing.assert_array_equal(read.region, parcels.region)

    grid = np.stack(np.meshgrid(*[np.arange(-100, 101, 4)] * 3, indexing="ij"), axis=-1)
    labels = 1 + (grid[..., 1] > 0) + 2 * (grid[..., 0] > 0)  # quadrants: left or right, back or front
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = -100
    image = tmp_path / "quadrants.nii"
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.int16), affine), image)
    found = Parcels.from_volume(image)
    assert found.names == ("region-1", "region-2", "region-3", "region-4")
    assert (np.sign(found.centres[:, 0]) == [-1, -1, 1, 1]).all()
    assert (np.sign(found.centres[:, 1]) == [-1, 1, -1, 1]).all()


def test_what_is_no_parcellation_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    text = tmp_path / "labels.nii"
    text.write_text("no image")
    with pytest.raises(ValueError, match=r"labels.nii: expected a NIfTI image"):
        Parcels.from_volume(text)
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 2), np.int16), np.eye(4)), text)
    with pytest.raises(ValueError, match=r"labels.nii: expected one label for each voxel"):
        Parcels.from_volume(text)
    annot = tmp_path / "lh.small.annot"
    write_annot(annot, np.zeros(100, int), np.zeros((1, 4), int), ["a"], fill_ctab=True)
    with pytest.raises(ValueError, match=r"lh.small.annot: expected an annotation of .* found 100 vertices"):
        Parcels.from_annot(annot, annot)


def test_regions_around_given_centres() -> None:
    parcels = Parcels.of_size(30)
    again = Parcels.at_centres(parcels.centres, parcels.names)
    assert again.names == parcels.names
    agree = again.region == parcels.region
    assert agree[parcels.cortex.cortical].mean() > 0.7
    for k, centre in enumerate(parcels.centres):
        vertex = np.linalg.norm(parcels.cortex.positions * 1e3 - centre, axis=1).argmin()
        assert again.region[vertex] == k


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Parcels.of_size(1), "n: expected a whole number from 2 to"),
        (lambda: Parcels.of_size(10**6), "n: expected a whole number from 2 to"),
        (lambda: jrflow.lead_field(parcels=2.5), "parcels: expected a whole number of at least 2"),
        (lambda: jrflow.lead_field(parcels=2, moment_density=-1.0), "moment_density: expected above 0"),
        (lambda: Parcels.of_labels(np.zeros(7, int)), "expected whole numbers for the 20484 vertices"),
        (lambda: Parcels.of_labels(np.zeros(2 * N_VERTICES, int)), "expected regions, found none"),
        (lambda: Parcels.of_labels(np.ones(2 * N_VERTICES, int), []), "expected one for each label up to 1"),
        (lambda: Parcels.at_centres([[0, -20, 5], [-40, 0, 50]], ["a", "b"]), "1 of 2 regions are more than"),
        (lambda: Parcels.at_centres([[0, 0, 0]], ["a", "b"]), r"centres: expected the shape \(2, 3\)"),
        (lambda: Parcels.at_centres([[-40, 0, 50]] * 2, ["a", "b"]), "no part of the cortex is nearest to 1"),
    ],
)
def test_impossible_regions_are_errors(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
