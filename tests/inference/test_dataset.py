from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from jrflow.archive import ArchiveError, open_archive
from jrflow.inference.data.dataset import check_same_experiment, read_evoked_set, split
from jrflow.observe.projection import baseline_correct


def damaged(experiment: Any, folder: Path, **arrays: Any) -> Path:
    """Copy of the tiny archive with some values changed: name to (index, value)."""
    store = folder / "tiny.zarr"
    shutil.copytree(experiment.store("tiny"), store)
    for name, (index, value) in arrays.items():
        zarr.open_array(store / name, mode="r+")[index] = value
    return store


def test_it_reads_what_plain_xarray_reads(experiment: Any) -> None:
    data, ds = experiment.read("train"), open_archive(experiment.store("train"))
    source = baseline_correct(ds["source"].values[:, 0], ds["time"].values)
    after = source[:, ds["time"].values > 0].reshape(1000, 30, 10).mean(axis=2)
    assert data.source.dtype == np.float32
    np.testing.assert_allclose(data.source, after, rtol=1e-5, atol=1e-5)
    assert data.names == ("A_e", "b_i", "C", "a_2", "C_2")
    np.testing.assert_array_equal(data.targets[:, 1], ds["b_i"].values)
    np.testing.assert_allclose(data.targets[:, 4], ds["C"].values * ds["a_2"].values)
    low, high = data.prior.target_bounds
    assert (data.targets >= low).all()
    assert (data.targets <= high).all()
    assert high[4] == pytest.approx(1.5 * 135 * 1.5 * 0.8)


def test_failed_simulations_are_left_out_and_counted(experiment: Any, tmp_path: Path) -> None:
    store = damaged(experiment, tmp_path, status=(slice(3, 5), 2), source=(slice(3, 5), np.nan))
    zarr.open_array(store / "status", mode="r+")[7] = 3
    data = read_evoked_set(store, 100.0, 0.0)
    assert data.excluded == {"non_finite": 2, "out_of_declared_range": 1}
    assert len(data.sim) == 37
    assert not set(data.sim) & {3, 4, 7}
    assert np.isfinite(data.source).all()


def test_nothing_usable_is_an_error(experiment: Any, tmp_path: Path) -> None:
    store = damaged(experiment, tmp_path, status=(slice(None), 2))
    with pytest.raises(
        ValueError, match=r"expected simulations with status 0 \(ok\), found none: {'non_finite': 40}"
    ):
        read_evoked_set(store, 100.0, 0.0)


def test_a_target_that_does_not_vary_is_an_error(experiment: Any, tmp_path: Path) -> None:
    store = damaged(experiment, tmp_path, b_i=(slice(None), 50.0))
    with pytest.raises(ValueError, match="b_i should vary, but all 40 usable simulations have the same"):
        read_evoked_set(store, 100.0, 0.0)


def test_something_else_than_an_archive_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="expected a Zarr store made by jrflow"):
        read_evoked_set(tmp_path / "none.zarr", 100.0, 0.0)


def test_a_split_is_by_simulation_and_reproducible(experiment: Any) -> None:
    data = experiment.read("train")
    train, validation = split(data, 0.1, seed=0)
    assert len(train.sim) == 900
    assert set(train.sim) | set(validation.sim) == set(range(1000))
    assert not set(train.sim) & set(validation.sim)
    np.testing.assert_array_equal(train.targets, data.targets[train.sim])
    np.testing.assert_array_equal(split(data, 0.1, seed=0)[1].sim, validation.sim)
    assert set(split(data, 0.1, seed=1)[1].sim) != set(validation.sim)


def test_too_few_simulations_are_an_error(experiment: Any) -> None:
    with pytest.raises(ValueError, match=r"40 usable ones in campaign 'tiny' .* enlarge the campaign to 200"):
        split(experiment.read("tiny"), 0.1, seed=0)


def test_campaigns_of_different_experiments_are_an_error(experiment: Any) -> None:
    train = experiment.read("train")
    with pytest.raises(ValueError, match="preset: unit-consistent in training, as-published here"):
        check_same_experiment(train, experiment.read("other-preset"))
    check_same_experiment(train, experiment.read("test"))
