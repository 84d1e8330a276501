"""A run in miniature: real campaigns of three parameters, made-up scores."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jrflow.archive import open_archive
from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.config.commented import commented_yaml
from jrflow.inference.recordings.verdict import Goodness, Verdict
from jrflow.observe.head import lead_field
from jrflow.report.content import Section
from jrflow.report.inputs import RunResults
from jrflow.report.report import build_report, make_sections, write_report
from jrflow.sensitivity.campaign import analyse_one_at_a_time, analyse_sobol, sobol_features

PARAMETERS = ("A_i", "C", "a_4")
TARGETS = (*PARAMETERS, "C_4")
PROTOCOL = {"kind": "evoked", "n_trials": 2, "isi": 0.6, "tmin": -0.1, "tmax": 0.4}
LEVELS = {"loud": 0.0, "middle": 10.0, "quiet": 20.0}
#: R2 of the network by preset and target, at every level; the limit is a tenth above.
R2 = {"unit-consistent": (0.9, 0.5, 0.6, 0.8), "as-published": (0.85, 0.0, 0.0, 0.0)}
N_TEST = 64
COURSES = ("source_estimate", "source_resimulated", "source_best_fit")
#: Training simulations, presentations, R2.
LEARNING = ((100, 1000, 0.3), (400, 1000, 0.5), (100, 4000, 0.25))


def make_config(folder: Path) -> Config:
    campaigns: dict[str, dict[str, object]] = {}
    for suffix, preset in (("", "unit-consistent"), ("-as-published", "as-published")):
        designs = {
            "train": ("prior", 128),
            "test": ("prior", N_TEST),
            "sobol": ("saltelli", 16),
            "oat": ("one-at-a-time", 9),
        }
        for name, (design, n) in designs.items():
            campaigns[name + suffix] = {"design": design, "n": n, "preset": preset, "prior": "half"}
    return Config.model_validate(
        {
            "run": {"name": "miniature", "results": str(folder.parent)},
            "simulation": {"protocol": PROTOCOL},
            "priors": {"half": {"kind": "relative-uniform", "parameters": PARAMETERS}},
            "campaigns": campaigns,
            "eeg": {"noise": {name: {"kind": "snr", "snr_db": snr} for name, snr in LEVELS.items()}},
            "inference": {
                "training": {"batch_size": 32, "validation_fraction": 0.2},
                "networks": {"bilstm": {"kind": "bilstm"}, "npe": {"kind": "npe"}},
                "models": {
                    "bilstm": {"train": "train", "test": "test"},
                    "npe": {"train": "train", "test": "test", "network": "npe"},
                    "bilstm-as-published": {"train": "train-as-published", "test": "test-as-published"},
                },
                "apply": {"model": "bilstm", "evoked": "someone-ave.fif", "noise": "quiet"},
            },
            "sensitivity": {
                "sobol": ["sobol", "sobol-as-published"],
                "one_at_a_time": ["oat", "oat-as-published"],
                "n_bootstrap": 10,
            },
            "execution": {"backend": "in-process", "shard_size": 64, "chunk_size": 32},
        }
    )  # fmt: skip


def write_simulations(folder: Path, config: Config) -> None:
    for name in config.campaigns:
        run_campaign(config, name, folder / "archives", progress=None)
    gain = lead_field(config.eeg.head, config.eeg.source)
    for part in ("eeg", "sensitivity"):
        (folder / part).mkdir()
    gain.to_netcdf(folder / "eeg/lead_field.nc", engine="h5netcdf")
    for name, campaign in config.campaigns.items():
        archive = open_archive(folder / f"archives/{name}.zarr")
        if campaign.design == "saltelli":
            features = sobol_features(archive, gain, config.sensitivity)
            result = analyse_sobol(archive, features, config.sensitivity)
        elif campaign.design == "one-at-a-time":
            result = analyse_one_at_a_time(archive, gain, config.sensitivity)
        else:
            continue
        result.to_netcdf(folder / f"sensitivity/{name}.nc", engine="h5netcdf")


def score(r2: float, limit: float, covered: float) -> dict[str, float]:
    r = np.sqrt(r2) if covered == covered or r2 else np.nan
    nrmse = np.sqrt((1 - r2) / 12)
    return {
        "n": N_TEST, "pearson_r": r, "spearman_r": r, "r2": r2, "nrmse": nrmse, "r2_limit": limit,
        "coverage_90": covered,
    }  # fmt: skip


def make_scores() -> pd.DataFrame:
    rows = []
    for preset, noise, i in product(R2, LEVELS, range(len(TARGETS))):
        for estimator, share, covered in (
            ("bilstm", 1, 0.875),
            ("extra-trees", 0.5, np.nan),
            ("mean", 0, np.nan),
        ):
            key = {"estimator": estimator, "preset": preset, "noise": noise}
            key |= {"snr_db": LEVELS[noise], "seed": 0}
            r2 = R2[preset][i]
            rows.append(key | {"parameter": TARGETS[i]} | score(share * r2, min(1, 1.1 * r2), covered))
    return pd.DataFrame(rows)


def make_learning_curve() -> pd.DataFrame:
    rows = []
    for (n, shown, r2), noise, name in product(LEARNING, LEVELS, TARGETS):
        rows.append((n, shown, shown // n, noise, name, r2))
    return pd.DataFrame(
        rows, columns=["n_simulations", "n_presentations", "epochs", "noise", "parameter", "r2"]
    )


def make_diagnosis(rng: np.random.Generator) -> xr.Dataset:
    """Uniform ranks but for the first target, whose posterior is too narrow."""
    ranks = rng.random((len(LEVELS), N_TEST, len(TARGETS)))
    ranks[..., 0] = np.round(ranks[..., 0])
    credibility, nominal = np.linspace(0, 1, 21), [0.5, 0.8, 0.9, 0.95]
    shape = len(LEVELS), len(nominal), len(TARGETS)
    p = np.where(np.arange(len(TARGETS)) == 0, 1e-9, 0.5) * np.ones((len(LEVELS), 1))
    return xr.Dataset(
        {
            "rank": (("noise", "diagnosed", "parameter"), ranks),
            "rank_p": (("noise", "parameter"), p),
            "expected_coverage": (("noise", "credibility"), np.tile(credibility**1.1, (len(LEVELS), 1))),
            "expected_coverage_p": ("noise", np.full(len(LEVELS), 0.3)),
            "coverage": (("noise", "nominal", "parameter"), np.full(shape, 0.873)),
            "width": (("noise", "nominal", "parameter"), np.full(shape, 0.25)),
            "misfit": (("noise", "checked", "simulated"), np.full((len(LEVELS), 7, 3), 1.77)),
            "draws": (
                ("noise", "example", "draw", "parameter"),
                rng.normal([25.0, 135.0, 0.25, 34.0], [4.0, 20.0, 0.05, 6.0], (len(LEVELS), 2, 50, 4)),
            ),
            "shift": (("noise", "parameter"), np.full((len(LEVELS), len(TARGETS)), 0.43)),
            "spread": (("noise", "parameter"), np.full((len(LEVELS), len(TARGETS)), 1.21)),
        },
        coords={
            "noise": list(LEVELS), "parameter": list(TARGETS), "credibility": credibility, "nominal": nominal,
        },
    )  # fmt: skip


def write_evaluation(folder: Path, config: Config) -> None:
    (folder / "evaluation").mkdir()
    make_scores().to_csv(folder / "evaluation/scores.csv", index=False)
    rng = np.random.default_rng(0)
    for model, campaigns in config.inference.models.items():
        archive = open_archive(folder / f"archives/{campaigns.test}.zarr")
        true = np.stack(
            [archive[name].values for name in PARAMETERS] + [archive["C"] * archive["a_4"]], axis=1
        )
        predicted = true * rng.normal(1, 0.1, (len(LEVELS), *true.shape))
        labelled = xr.Dataset(
            {"true": (("sim", "parameter"), true), "predicted": (("noise", "sim", "parameter"), predicted)},
            coords={"noise": list(LEVELS), "parameter": list(TARGETS), "sim": archive["sim"].values},
        )
        if campaigns.network == "npe":
            labelled = labelled.merge(make_diagnosis(rng))
        labelled.to_netcdf(folder / f"evaluation/{model}-predictions.nc", engine="h5netcdf")
    make_learning_curve().to_csv(folder / "evaluation/learning_curve.csv", index=False)


def make_reference(rng: np.random.Generator) -> xr.Dataset:
    """Reference posteriors that are calibrated; at the quiet level a quarter of the cases is not resolved."""
    n, shape = 40, (len(LEVELS), len(TARGETS))
    resolved = np.ones((len(LEVELS), n), dtype=bool)
    resolved[2, : n // 4] = False
    return xr.Dataset(
        {
            "rank": (("noise", "case", "parameter"), rng.random((len(LEVELS), n, len(TARGETS)))),
            "rank_p": (("noise", "parameter"), np.full(shape, 0.4)),
            "expected_coverage_p": ("noise", np.full(len(LEVELS), 0.6)),
            "coverage": (("noise", "nominal", "parameter"), np.full((len(LEVELS), 1, len(TARGETS)), 0.9)),
            "resolved": (("noise", "case"), resolved),
            "ess": (("noise", "case", "parameter"), np.full((len(LEVELS), n, len(TARGETS)), 321.0)),
            "mcse": (("noise", "case", "parameter"), np.full((len(LEVELS), n, len(TARGETS)), 0.047)),
        },
        coords={"noise": list(LEVELS), "parameter": list(TARGETS), "nominal": [0.9], "case": np.arange(n)},
    )


def write_limits(folder: Path) -> None:
    """Limits from sampled posteriors for one preset, and from Laplace's approximation for the other."""
    (folder / "limits").mkdir()
    shape = len(LEVELS), len(TARGETS)
    for model, n_exact in (("bilstm", 40), ("bilstm-as-published", 0)):
        preset = "as-published" if "as-published" in model else "unit-consistent"
        limits = {
            "r2_limit": (("noise", "parameter"), np.full(shape, 0.9)),
            "r2_limit_se": (("noise", "parameter"), np.full(shape, 0.012 if n_exact else 0.034)),
        }
        xr.Dataset(limits, attrs={"n_exact": n_exact, "n_draws": 200, "preset": preset}).to_netcdf(
            folder / f"limits/{model}.nc", engine="h5netcdf"
        )
    reference = make_reference(np.random.default_rng(1))
    reference.to_netcdf(folder / "limits/bilstm-reference.nc", engine="h5netcdf")


def make_goodness(explained: float, verdict: Verdict) -> dict[str, object]:
    p_value = {"explained": 0.3, "partly explained": 0.001}.get(verdict, 1e-9)
    tests = {"p_flat": 1e-6, "p_place": p_value, "p_course": 0.5, "p_value": p_value}
    power = {"detectable_place_uv": 0.12, "detectable_course_mv": 0.034}
    known = {"source_chi2": 2.5, "reduced_chi2": 1.5, "degrees_of_freedom": 100, "baseline_chi2": 1.0}
    sizes = {"noise_ratio": 1.0, "rank": 60}
    return asdict(Goodness(explained, 0.4, 0.25, 0.8, verdict=verdict, **tests, **power, **known, **sizes))


def make_estimate(
    name: str, explained: float, verdict: Verdict, *, noise_in_range: bool
) -> dict[str, object]:
    """As inference writes it for one measured response."""
    parameters = {target: {"value": 1.0, "low": 0.6, "high": 1.4} for target in TARGETS}
    fits = {"goodness": make_goodness(explained, verdict), "best_fit": make_goodness(0.3, verdict)}
    noise = {"sd": 0.1, "noise_inflation": 1.0, "noise_in_range": noise_in_range}
    exact = (
        {"parameters": parameters, "rhat": 1.3, "ess": 41.0, "resolved": False}
        if verdict == "explained"
        else None
    )
    return {"response": name, "n_averages": 5, "parameters": parameters, **noise, **fits, "exact": exact}


def write_recordings(folder: Path) -> None:
    """A model's description, and what it says of three responses; the second has an awkward name."""
    (folder / "models/bilstm").mkdir(parents=True)
    targets = [{"name": name, "unit": "mV", "low": 0.5, "high": 1.5} for name in TARGETS]
    counts = {"n_training": 102, "n_validation": 26, "excluded": {"non_finite": 2}}
    card = {"targets": targets, "preset": "unit-consistent", "campaign": "train"} | counts
    (folder / "models/bilstm/model.json").write_text(json.dumps(card))
    history = pd.DataFrame({"epoch": [1, 2], "n_presentations": [115, 230]})
    history.to_csv(folder / "models/bilstm/history.csv", index=False)
    responses = [
        make_estimate("tone", 0.35, "partly explained", noise_in_range=True),
        make_estimate("<i>$_flash</i>", -0.5, "not explained", noise_in_range=False),
        make_estimate("click", 0.25, "explained", noise_in_range=True),
    ]
    content = {"model": "bilstm", "evoked": "/data/someone-ave.fif", "noise": "quiet", "responses": responses}
    (folder / "evaluation/estimates.json").write_text(json.dumps(content))
    times = np.linspace(-0.1, 0.4, 51)
    courses = {name: (("response", "time"), np.tile(np.sin(9 * times), (3, 1))) for name in COURSES}
    labels = np.array([response["response"] for response in responses], dtype=object)
    xr.Dataset(courses, coords={"response": labels, "time": times}).to_netcdf(
        folder / "evaluation/responses.nc", engine="h5netcdf"
    )


def write_benchmarks(folder: Path) -> None:
    for name, seconds in (("lead_field", 2.5), ("campaign/train", 7.5)):
        path = folder / f"benchmarks/{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t100\n")


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with every result, but no report."""
    folder = tmp_path_factory.mktemp("results") / "miniature"
    folder.mkdir()
    config = make_config(folder)
    (folder / "config.yaml").write_text(commented_yaml(config), encoding="utf-8")
    write_simulations(folder, config)
    write_evaluation(folder, config)
    write_limits(folder)
    write_recordings(folder)
    write_benchmarks(folder)
    return folder


@pytest.fixture(scope="session")
def sections(results: Path) -> list[Section]:
    """What the report of these results consists of."""
    return make_sections(RunResults.open(results))


@pytest.fixture(scope="session")
def full_run(results: Path, sections: list[Section]) -> Path:
    """The same folder, with its report."""
    write_report(results, sections)
    return results


@pytest.fixture(scope="session")
def bare_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that has only been configured, and its report."""
    folder = tmp_path_factory.mktemp("results") / "bare"
    folder.mkdir()
    (folder / "config.yaml").write_text(commented_yaml(make_config(folder)), encoding="utf-8")
    build_report(folder)
    return folder
