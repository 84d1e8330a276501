"""The workflow end to end, in processes of its own, judged by its numbers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("snakemake") is None, reason="Snakemake is not installed"),
]

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "tests/tiny.yaml"


def snakemake(
    folder: Path, *arguments: str, check: bool = True, clone: Path = ROOT, profile: str = "test"
) -> subprocess.CompletedProcess[str]:
    """Run the workflow of a clone in ``folder`` with the interpreter's own environment."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["snakemake", *arguments, "--snakefile", clone / "Snakefile", "--directory", folder]
    command += ["--workflow-profile", clone / "profiles" / profile, "--configfile", folder / "config.yaml"]
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workflow")
    shutil.copy(CONFIG, folder / "config.yaml")
    snakemake(folder)
    return folder / "results/tiny"


def test_every_simulation_is_accounted_for(run: Path) -> None:
    expected = {"train": 1600, "test": 200, "sobol": 32 * 11, "oat": 45}
    for campaign, n in expected.items():
        manifest = json.loads((run / f"archives/{campaign}.json").read_text())
        assert manifest["counts"] == {
            "ok": n,
            "not_yet_simulated": 0,
            "non_finite": 0,
            "out_of_declared_range": 0,
        }
    ds = xr.open_zarr(run / "archives/train.zarr")
    strong = ds.query(sim="A_e > 4 and status == 0")
    assert 0 < strong.sizes["sim"] < 1600
    assert float(strong.A_e.min()) > 4
    assert ds.attrs["n_epochs"] == 3


def test_scores_are_between_the_mean_and_the_limit(run: Path) -> None:
    scores = pd.read_csv(run / "evaluation/scores.csv")
    columns = (
        "estimator,preset,noise,snr_db,seed,parameter,n,pearson_r,spearman_r,r2,nrmse,r2_limit,coverage_90"
    )
    assert ",".join(scores.columns) == columns
    assert set(scores.estimator) == {"mean", "extra-trees", "bilstm", "npe", "npe+exact", "nearest+exact"}
    assert set(scores.preset) == {"unit-consistent", "as-published"}
    loops = {"C", "a_1", "a_2", "a_3", "a_4"}
    assert set(scores.parameter) == {"A_e", "A_i", "b_e", "b_i", "C_1", "C_2", "C_3", "C_4"} | loops
    assert len(scores) == (3 * 2 + 3) * 2 * 13
    assert scores.groupby("noise").snr_db.mean().round(6).to_dict() == {"snr-0": 0.0, "snr-20": 20.0}
    assert scores.r2_limit.between(0, 1).all()
    scores = scores[scores.n == 200]  # three refined ones say little of their coverage
    assert scores.coverage_90.between(0.7, 1).all()

    table = scores.set_index(["estimator", "preset", "noise", "parameter"]).sort_index()
    assert table.r2["mean"].abs().max() < 0.05
    for estimator in ("bilstm", "extra-trees"):
        assert table.r2[estimator, "unit-consistent", "snr-20", "b_i"] > 0.5
        hopeless = table.loc[estimator, "as-published", "snr-20"].loc[sorted(loops)]
        assert (hopeless.r2 < 0.1).all()
        assert (hopeless.r2_limit < 0.02).all()
    limits = table.r2_limit["bilstm", "unit-consistent"]
    assert (limits["snr-20"] > limits["snr-0"]).all()


def test_the_loops_matter_in_one_preset_only(run: Path) -> None:
    loops = ["C", "a_1", "a_2", "a_3", "a_4"]
    consistent = xr.open_dataset(run / "sensitivity/oat.nc", engine="h5netcdf").effect.max("end")
    published = xr.open_dataset(run / "sensitivity/oat-as-published.nc", engine="h5netcdf").effect.max("end")
    assert float(consistent.sel(parameter="a_4")) == pytest.approx(0.54, abs=0.02)
    assert float(published.sel(parameter=loops).max()) < 1e-4
    sobol = xr.open_dataset(run / "sensitivity/sobol.nc", engine="h5netcdf")
    assert (sobol.ST > -0.2).all()
    # Four base points in each of eight scrambles: enough for the largest index of a size, and for its error.
    assert sobol.ST.sel(feature="peak_to_peak").idxmax("parameter") == "A_i"
    assert (sobol.n_replicates == 8).all()
    assert np.isfinite(sobol.ST_se.sel(feature="peak_to_peak")).all()


def test_the_report_shows_it_all(run: Path) -> None:
    report = (run / "report.html").read_text(encoding="utf-8")
    for text in ("unit-consistent", "as-published", "snr-20", "bilstm", "git"):
        assert text in report
    assert len(list((run / "figures").iterdir())) >= 8


def test_nothing_is_done_twice(run: Path) -> None:
    again = snakemake(run.parents[1])
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_changed_setting_repeats_what_depends_on_it_and_no_more(run: Path) -> None:
    model, before = run / "models/bilstm/model.json", CONFIG.read_text(encoding="utf-8")
    trained = model.stat().st_mtime_ns
    analysed = (run / "sensitivity/sobol.nc").stat().st_mtime_ns
    (run.parents[1] / "config.yaml").write_text(before.replace("n_bootstrap: 20", "n_bootstrap: 30"))
    snakemake(run.parents[1])
    assert (run / "sensitivity/sobol.nc").stat().st_mtime_ns > analysed
    assert model.stat().st_mtime_ns == trained
    assert "n_bootstrap: 30" in (run / "config.yaml").read_text(encoding="utf-8")


def test_a_changed_campaign_is_refused_and_its_archive_kept(run: Path) -> None:
    config, manifest = run.parents[1] / "config.yaml", run / "archives/oat.json"
    before, sealed = config.read_text(encoding="utf-8"), manifest.read_bytes()
    config.write_text(before.replace("one-at-a-time, n: 5", "one-at-a-time, n: 7"))
    failed = snakemake(run.parents[1], check=False)
    config.write_text(before)
    assert failed.returncode != 0
    assert "holds another campaign" in failed.stdout + failed.stderr
    assert manifest.read_bytes() == sealed
    assert xr.open_zarr(run / "archives/oat.zarr").sizes["sim"] == 45


def test_faults_of_a_configuration_are_named_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG.read_text().replace("n_trials: 4", "n_trails: 4"))
    failed = snakemake(tmp_path, check=False)
    output = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "n_trails" in output
    assert "did you mean 'n_trials'" in output
    assert not (tmp_path / "results").exists()


def test_blocks_make_the_same_archive(run: Path, tmp_path: Path) -> None:
    """A design, two blocks of two shards, and the seal, each a job of its own."""
    blocks = CONFIG.read_text(encoding="utf-8").replace(
        "chunk_size: 128", "chunk_size: 128, shards_per_block: 2"
    )
    (tmp_path / "config.yaml").write_text(blocks, encoding="utf-8")
    snakemake(tmp_path, "results/tiny/archives/train.json")
    made, expected = (
        json.loads((folder / "archives/train.json").read_text(encoding="utf-8"))
        for folder in (tmp_path / "results/tiny", run)
    )
    assert made["files"] == expected["files"]
    assert len(list((tmp_path / "results/tiny/benchmarks/campaign").glob("train.*-of-2.tsv"))) == 2
    assert "Nothing to be done" in snakemake(tmp_path, "results/tiny/archives/train.json").stderr


def test_a_network_gets_as_far_as_its_archive(tmp_path: Path) -> None:
    """No lead field is made for it; the report says so."""
    text = (ROOT / "examples/whole-brain.yaml").read_text(encoding="utf-8")
    (tmp_path / "config.yaml").write_text(text.replace("n: 1024", "n: 16"), encoding="utf-8")
    snakemake(tmp_path)
    run = tmp_path / "results/whole-brain"
    assert json.loads((run / "archives/train.json").read_text())["counts"]["ok"] == 16
    assert not (run / "eeg").exists()
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "Network: 68 regions" in report
    assert "a network of regions is not projected to the scalp yet" in report


def test_exact_posteriors_come_before_the_limits_where_they_are_asked_for(run: Path) -> None:
    """Planned only: they are tested on their own, and take minutes."""
    folder = run.parents[1]
    usual = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(usual.replace("n_draws: 20", "n_draws: 20, posterior_cases: 10"))
    try:
        planned = snakemake(folder, "--dry-run", "--forceall").stdout
    finally:
        (folder / "config.yaml").write_text(usual)
    assert re.search(r"^reference +2$", planned, re.MULTILINE), planned
    assert re.search(r"^limits +2$", planned, re.MULTILINE), planned


def cloned(folder: Path) -> Path:
    """Copy what the workflow consists of, with new times of modification, as a fresh clone has them."""
    for name in ("workflow", "scripts", "profiles"):
        shutil.copytree(ROOT / name, folder / name, copy_function=shutil.copyfile)
    shutil.copyfile(ROOT / "Snakefile", folder / "Snakefile")
    return folder


@pytest.mark.parametrize("memory", [True, False], ids=["moved", "results only"])
def test_results_in_a_fresh_clone_are_not_computed_again(run: Path, tmp_path: Path, memory: bool) -> None:
    clone = tmp_path / "another clone"
    ignored = shutil.ignore_patterns() if memory else shutil.ignore_patterns(".snakemake")
    shutil.copytree(run.parents[1], clone, ignore=ignored)
    shutil.copy(CONFIG, clone / "config.yaml")
    shutil.copytree(run.parents[1] / "results", clone / "results", dirs_exist_ok=True)
    planned = snakemake(clone, "--dry-run", "results/tiny/evaluation/scores.csv", clone=cloned(clone))
    assert "Nothing to be done" in planned.stdout + planned.stderr


def test_a_clone_in_a_folder_with_a_space_works(tmp_path: Path) -> None:
    clone = cloned(tmp_path / "my clone (new)")
    shutil.copy(CONFIG, clone / "config.yaml")
    snakemake(clone, "results/tiny/eeg/lead_field.nc", clone=clone)
    assert (
        xr.load_dataarray(clone / "results/tiny/eeg/lead_field.nc", engine="h5netcdf").sizes["channel"] == 64
    )
    planned = snakemake(clone, "--dry-run", "--printshellcmds", clone=clone, profile="default")
    commands = [line for line in planned.stdout.splitlines() if "scripts" in line and "python" in line]
    assert len(commands) > 10
    assert all(f"'{clone}/scripts'/" in command for command in commands)


def test_a_step_that_fails_is_shown_with_its_log_and_what_to_do(tmp_path: Path) -> None:
    """With the profile that users have; the store of the campaign is in the way of its archive."""
    shutil.copy(CONFIG, tmp_path / "config.yaml")
    (tmp_path / "results/tiny/archives").mkdir(parents=True)
    (tmp_path / "results/tiny/archives/oat.zarr").write_text("no archive")
    failed = snakemake(tmp_path, "results/tiny/archives/oat.json", check=False, profile="default")
    console = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "Error in rule campaign" in console
    log = (tmp_path / "results/tiny/logs/campaign/oat.log").read_text().strip().splitlines()
    assert log
    assert log[-1] in console
    assert "start the same command again" in console
    assert "Reason:" not in console
