from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

import jrflow
from jrflow.config.eeg import ForwardHead, SourceConfig
from jrflow.observe.channels import electrode_positions, montage_info
from jrflow.observe.cortex import (
    Patch,
    fit_sphere,
    fsaverage_patch,
    grow_patch,
    place_in_head,
    vertex_normals,
)
from jrflow.observe.head import lead_field as make_lead_field, patch_forward

MRI_TO_HEAD = mne.transforms.Transform("mri", "head", mne.transforms.translation(0.003, -0.02, 0.05))


def hemisphere(side: str, centre: np.ndarray, radius: float) -> tuple[Patch, np.ndarray]:
    """A whole hemisphere of fsaverage5, in the head, and its triangles."""
    from nilearn.datasets import load_fsaverage

    mesh = load_fsaverage("fsaverage5")["white_matter"].parts[side]
    positions = mesh.coordinates.astype(float) / 1e3
    whole = Patch(np.arange(len(positions)), positions, vertex_normals(positions, mesh.faces), centre)
    return place_in_head(whole, centre, radius), mesh.faces.astype(int)


def surface_source(
    side: str, used: np.ndarray, centre: np.ndarray, radius: float, subject: str = "fsaverage"
) -> dict:
    """A hemisphere as MNE's source spaces hold it, in MRI coordinates."""
    placed, triangles = hemisphere(side, centre, radius)
    to_mri = mne.transforms.invert_transform(MRI_TO_HEAD)
    surface = {"rr": mne.transforms.apply_trans(to_mri, placed.positions), "tris": triangles}
    surface = mne.surface.complete_surface_info(surface, do_neighbor_tri=False, verbose="error")
    inuse = np.zeros(len(surface["rr"]), int)
    inuse[used] = 1
    absent = ("use_tris", "nearest", "nearest_dist", "pinfo", "patch_inds", "dist", "dist_limit")
    return surface | dict.fromkeys(absent) | {
        "id": 101 if side == "left" else 102, "type": "surf", "coord_frame": 5, "nn": placed.normals,
        "inuse": inuse, "nuse": len(used), "vertno": used, "nuse_tri": 0, "subject_his_id": subject,
    }  # fmt: skip


def written(path: Path, left: np.ndarray, right: np.ndarray, subject: str = "fsaverage") -> Path:
    """A forward solution as MNE makes it, with sources at these vertices."""
    info = montage_info("biosemi64")
    centre, radius = fit_sphere(electrode_positions(info))
    sources = [
        surface_source(side, used, centre, radius, subject)
        for side, used in (("left", left), ("right", right))
    ]
    sphere = mne.make_sphere_model(centre, radius, verbose="error")
    forward = mne.make_forward_solution(
        info, MRI_TO_HEAD, mne.SourceSpaces(sources), sphere, meg=False, mindist=0, verbose="error"
    )
    mne.write_forward_solution(path, forward, verbose="error")
    return path


@pytest.fixture(scope="session")
def forward_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All vertices near the patch on the left, a few on the right."""
    left = fsaverage_patch(SourceConfig(extent=25.0)).vertices
    return written(tmp_path_factory.mktemp("forward") / "near-fwd.fif", left, np.arange(0, 10242, 500))


@pytest.mark.parametrize("side", ["left", "right"])
def test_forward_file_agrees_with_the_computed_lead_field(forward_file: Path, side: str) -> None:
    info = montage_info("biosemi64")
    centre, radius = fit_sphere(electrode_positions(info))
    if side == "left":
        extent, vertex = 10.0, fsaverage_patch(SourceConfig(extent=0.1)).vertices
    else:  # sources so far apart that the patch is one of them
        extent, vertex = 0.1, np.array([500])
    one = hemisphere(side, centre, radius)[0].positions[vertex[0]]
    position = mne.transforms.apply_trans(mne.transforms.invert_transform(MRI_TO_HEAD), one) * 1e3
    source = SourceConfig(position=tuple(position + 0.1), extent=extent)
    stored = make_lead_field(ForwardHead(kind="forward", path=str(forward_file)), source)

    placed, triangles = hemisphere(side, centre, radius)
    patch = grow_patch(placed.positions, triangles, vertex[0], extent)
    expected = Patch(patch, placed.positions[patch], placed.normals[patch], position)
    gain = patch_forward(info, expected, centre, radius)["sol"]["data"].mean(axis=1) * 13e-3
    np.testing.assert_allclose(stored[:, 0], gain - gain.mean(), atol=1e-5 * abs(gain).max())
    np.testing.assert_allclose(stored.position_found, position, atol=1e-3)
    assert stored.n_vertices == len(patch)


def test_forward_file_with_volume_sources_is_refused(tmp_path: Path) -> None:
    info = montage_info("biosemi16")
    centre, radius = fit_sphere(electrode_positions(info))
    sphere = mne.make_sphere_model(centre, radius, verbose="error")
    space = mne.setup_volume_source_space(pos=40.0, sphere=sphere, verbose="error")
    forward = mne.make_forward_solution(info, None, space, sphere, meg=False, verbose="error")
    path = tmp_path / "volume-fwd.fif"
    mne.write_forward_solution(path, forward, verbose="error")
    with pytest.raises(ValueError, match="expected surface sources"):
        jrflow.lead_field(forward=path)


def test_other_files_are_refused(recording: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a forward solution \(\.fif\), found evoked"):
        jrflow.lead_field(forward=recording)


def test_a_sparser_source_space_of_fsaverage_has_the_same_regions(tmp_path: Path) -> None:
    """The moment of a region does not depend on how many of its vertices are sources."""
    parcels = jrflow.Parcels.of_size(10)
    some = np.arange(0, 10242, 3)
    found = jrflow.lead_field(forward=written(tmp_path / "sparse-fwd.fif", some, some), parcels=parcels)
    expected = jrflow.lead_field(parcels=parcels)
    assert np.corrcoef(found.values.ravel(), expected.values.ravel())[0, 1] > 0.95
    assert 0.9 < np.linalg.norm(found) / np.linalg.norm(expected) < 1.1


def test_regions_need_sources_of_fsaverage_in_each_of_them(tmp_path: Path) -> None:
    few = np.arange(0, 10242, 600)
    with pytest.raises(ValueError, match="of 200 regions contain no source of the forward solution, such as"):
        jrflow.lead_field(forward=written(tmp_path / "few-fwd.fif", few, few), parcels=200)
    other = written(tmp_path / "other-fwd.fif", few, few, "sub-01")
    with pytest.raises(ValueError, match=r"expected a forward solution of fsaverage.* found one of 'sub-01'"):
        jrflow.lead_field(forward=other, parcels=2)
