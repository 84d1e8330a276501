"""A campaign from configuration to seal, and everything that may come in between."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from jrflow.archive import ArchiveError, ArchiveMismatchError, ShardError, open_archive
from jrflow.archive.manifest import Manifest, SteadyState
from jrflow.archive.shards import pending_shards
from jrflow.archive.store import Archive
from jrflow.campaign import ShardTask, run_campaign, simulate_shard
from jrflow.config import Config
from jrflow.config.simulation import SimulationConfig
from jrflow.provenance import campaign_seed
from jrflow.simulation import simulate
from jrflow.specification import Specification

MakeConfig = Callable[..., Config]
InterruptedAfter = Callable[[int], Callable[..., Iterator[int]]]

#: A protocol with noise, so that a wrong key of the random numbers shows.
NOISY = {
    "protocol": {"kind": "rest", "duration": 0.1, "transient": 0.02, "background": 120.0, "noise_sd": 60.0}
}


def _checksums(manifest: Manifest) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in manifest.files.items() if "/c/" in name}


def _mtimes(store: Path) -> dict[str, int]:
    return {str(path.relative_to(store)): path.stat().st_mtime_ns for path in store.glob("source/c/*/0/0")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_config: MakeConfig) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("finished")
    return folder, run_campaign(tiny_config(), "train", folder, progress=None)


def test_the_archive_is_what_simulate_returns(finished: tuple[Path, Manifest]) -> None:
    folder, manifest = finished
    archive = open_archive(folder / "train.zarr").load()
    outcomes = ["source", "status", "failed_step", "n_trials"]
    design = archive.drop_vars([*outcomes, "region", "time"])
    settings = manifest.specification
    protocol = SimulationConfig.model_validate(settings["simulation"]).protocol
    expected = simulate(
        design, preset="unit-consistent", protocol=protocol, seed=settings["seed"], n_threads=1
    )
    xr.testing.assert_equal(archive[outcomes], expected[outcomes])
    for name, variable in expected.variables.items():
        assert archive[name].dims == variable.dims
        if name != "sim":
            assert {key: archive[name].attrs[key] for key in variable.attrs} == variable.attrs
    assert manifest.counts["ok"] == 100
    assert float(np.abs(archive["source"]).max()) > 0.1


def test_attributes_say_where_it_comes_from(finished: tuple[Path, Manifest]) -> None:
    folder, manifest = finished
    attrs = open_archive(folder / "train.zarr").attrs
    assert attrs["preset"] == "unit-consistent"
    assert attrs["solver"] == "exp-ab4"
    assert attrs["dt"] == 1e-3
    assert attrs["seed"] == campaign_seed(0, "train")
    assert json.loads(attrs["protocol"])["n_trials"] == 3
    assert attrs["config_hash"] == manifest.config_hash
    assert {"git_commit", "versions"} <= attrs.keys()


def test_seeds_differ_between_campaigns_and_zero_is_a_seed(tiny_config: MakeConfig) -> None:
    other = {"test": {"design": "prior", "n": 9, "prior": "half"}}
    campaigns = {"train": {"design": "prior", "n": 9, "prior": "half", "seed": 0}} | other
    config = tiny_config(campaigns=campaigns)
    assert Specification.of(config, "train").seed == 0
    assert Specification.of(config, "test").seed == campaign_seed(0, "test")
    assert campaign_seed(0, "train") != campaign_seed(0, "test")


def test_an_unknown_campaign_is_refused(tiny_config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown campaign 'trian'; did you mean 'train'"):
        run_campaign(tiny_config(), "trian", tmp_path)


def test_a_sealed_archive_is_left_alone(
    tiny_config: MakeConfig, tmp_path: Path, interrupted_after: InterruptedAfter
) -> None:
    manifest = run_campaign(tiny_config(), "train", tmp_path, progress=None)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert run_campaign(tiny_config(), "train", tmp_path, interrupted_after(0), progress=None) == manifest
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("shard_size", [8, 40, 4096])
@pytest.mark.parametrize("simulation", [{}, NOISY], ids=["evoked", "noisy rest"])
def test_values_depend_neither_on_shards_nor_on_order(
    tiny_config: MakeConfig, tmp_path: Path, shard_size: int, simulation: dict[str, Any]
) -> None:
    sections = {"simulation": simulation} if simulation else {}
    whole = tiny_config(**sections, execution={"shard_size": 128, "chunk_size": 128})
    parts = tiny_config(**sections, execution={"shard_size": shard_size, "chunk_size": 8})
    run_campaign(whole, "train", tmp_path / "whole", progress=None)
    run_campaign(parts, "train", tmp_path / "parts", lambda f, tasks: map(f, tasks[::-1]), progress=None)
    expected = open_archive(tmp_path / "whole" / "train.zarr").load()
    found = open_archive(tmp_path / "parts" / "train.zarr").load()
    np.testing.assert_array_equal(
        found["source"].values.view(np.int32), expected["source"].values.view(np.int32)
    )
    np.testing.assert_array_equal(found["status"], expected["status"])


def test_after_an_interruption_only_the_rest_is_done(
    tiny_config: MakeConfig,
    tmp_path: Path,
    finished: tuple[Path, Manifest],
    interrupted_after: InterruptedAfter,
) -> None:
    store = tmp_path / "train.zarr"
    with pytest.raises(KeyboardInterrupt):
        run_campaign(tiny_config(), "train", tmp_path, interrupted_after(3), progress=None)
    assert pending_shards(Archive.open(store)) == [3]
    assert not (tmp_path / "train.json").exists()
    done = _mtimes(store)
    report = io.StringIO()
    manifest = run_campaign(tiny_config(), "train", tmp_path, progress=report)
    assert "going on; shards done: 3 of 4" in report.getvalue()
    assert done.items() <= _mtimes(store).items()
    assert manifest.sealed["last_run"]["simulations"] == 4
    assert _checksums(manifest) == _checksums(finished[1])


_DRIVER = """
import sys
from pathlib import Path
from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.config.simulation import SimulationConfig

def map_shards(function, tasks):
    for task in tasks:
        yield function(task)
        print("done", flush=True)
        sys.stdin.readline()

run_campaign(Config.model_validate_json(sys.argv[1]), "train", Path(sys.argv[2]), map_shards, progress=None)
"""


def test_a_killed_driver_leaves_nothing_to_repair(
    tiny_config: MakeConfig, tmp_path: Path, finished: tuple[Path, Manifest]
) -> None:
    config, store = tiny_config(), tmp_path / "train.zarr"
    command = [sys.executable, "-c", _DRIVER, config.model_dump_json(), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "done\n"
        os.kill(driver.pid, signal.SIGKILL)
    assert pending_shards(Archive.open(store)) == [1, 2, 3]
    done = _mtimes(store)
    manifest = run_campaign(config, "train", tmp_path, progress=None)
    assert done.items() <= _mtimes(store).items()
    assert _checksums(manifest) == _checksums(finished[1])


def test_a_store_of_another_configuration_is_not_touched(tiny_config: MakeConfig, tmp_path: Path) -> None:
    run_campaign(tiny_config(), "train", tmp_path, progress=None)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    other = tiny_config({"n": 64, "seed": 0})
    with pytest.raises(ArchiveMismatchError) as error:
        run_campaign(other, "train", tmp_path, progress=None)
    assert f"seed: in the store {campaign_seed(0, 'train')}, expected 0" in str(error.value)
    assert "n: in the store 100, expected 64" in str(error.value)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_execution_settings_make_no_other_campaign(
    tiny_config: MakeConfig, tmp_path: Path, interrupted_after: InterruptedAfter
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_campaign(tiny_config(), "train", tmp_path, interrupted_after(1), progress=None)
    other = tiny_config(execution={"shard_size": 64, "chunk_size": 16})
    assert run_campaign(other, "train", tmp_path, progress=None).layout.shard_size == 32


def test_a_damaged_archive_is_not_passed_on(tiny_config: MakeConfig, tmp_path: Path) -> None:
    run_campaign(tiny_config(), "train", tmp_path, progress=None)
    (tmp_path / "train.zarr" / "A_e" / "c" / "0").unlink()
    with pytest.raises(ArchiveError, match=r"sealed but damaged:\nA_e/c/0: missing\n.*jrflow archive repair"):
        run_campaign(tiny_config(), "train", tmp_path, progress=None)


def test_an_error_says_in_which_simulations_it_happened(
    tiny_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()

    def faulty(*args: Any, **kwargs: Any) -> xr.Dataset:
        if next(calls) == 1:
            raise ZeroDivisionError("by nothing")
        return simulate(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr("jrflow.campaign.shard.simulate", faulty)
        message = r"campaign 'train', shard 1 \(simulations 32\.\.63\): ZeroDivisionError: by nothing"
        with pytest.raises(ShardError, match=message):
            run_campaign(tiny_config(), "train", tmp_path, progress=None)
    assert (
        run_campaign(tiny_config(), "train", tmp_path, progress=None).sealed["last_run"]["simulations"] == 68
    )


def test_diverging_simulations_are_kept_and_marked(tiny_config: MakeConfig, tmp_path: Path) -> None:
    config = tiny_config(simulation={"protocol": tiny_config().simulation.protocol, "max_source": 1e-6})
    report = io.StringIO()
    manifest = run_campaign(config, "train", tmp_path, progress=report)
    assert manifest.counts["out_of_declared_range"] == 100
    archive = open_archive(tmp_path / "train.zarr")
    assert np.isfinite(archive["source"]).all()
    first, last = int(archive["failed_step"].min()), int(archive["failed_step"].max())
    assert 0 < first <= last
    failures = manifest.failures["out_of_declared_range"]
    assert (failures.simulations, failures.first_step, failures.last_step) == (100, first, last)
    told = f"failed (out_of_declared_range): 100 simulations, at steps {first} to {last}\n"
    assert report.getvalue().endswith(f"train: {told}")


@pytest.mark.parametrize("tolerance", [1e-6, None])
def test_how_many_settled_is_counted_and_told(
    tiny_config: MakeConfig, tmp_path: Path, tolerance: float | None
) -> None:
    protocol = asdict(tiny_config().simulation.protocol) | {"n_trials": 4}
    report = io.StringIO()
    config = tiny_config(simulation={"protocol": protocol, "steady_state_tolerance": tolerance})
    manifest = run_campaign(config, "train", tmp_path, progress=report)
    n_trials = open_archive(tmp_path / "train.zarr")["n_trials"].values
    settled = int((n_trials < 4).sum())
    assert (0 < settled < 100) if tolerance else settled == 0
    median = float(np.median(n_trials))
    assert manifest.steady_state == SteadyState(settled, settled / 100, median)
    told = f"train: settled before the last trial: {settled} simulations ({settled}.0%); median of trials: "
    assert f"{told}{median:g} of 4\n" in report.getvalue()


def test_the_plan_is_told_before_anything_is_simulated(tiny_config: MakeConfig, tmp_path: Path) -> None:
    report = io.StringIO()

    def look(function: Callable[[ShardTask], int], tasks: list[ShardTask]) -> Iterator[int]:
        assert report.getvalue().startswith(
            "train: simulations: 100, shards: 4, files: up to 16; shards to simulate: 4"
        )
        assert "up to 81.3 kB (free:" in report.getvalue()
        return map(function, tasks)

    run_campaign(tiny_config(), "train", tmp_path, look, progress=report)
    assert "train: 100 of 100 simulations" in report.getvalue()


def test_a_task_can_be_repeated(tiny_config: MakeConfig, tmp_path: Path) -> None:
    """Dask repeats a task whose worker was lost after it had written."""

    def twice(function: Callable[[ShardTask], int], tasks: list[ShardTask]) -> Iterator[int]:
        for task in tasks:
            simulate_shard(task)
            yield function(task)

    manifest = run_campaign(tiny_config(), "train", tmp_path, twice, progress=None)
    assert manifest.counts["ok"] == 100
