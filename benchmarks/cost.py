"""What jrflow.planning.cost expects, compared with what this machine takes.

    python benchmarks/cost.py [--only evoked rest] [--repeats 5] [--core 0]

CPU time of one core: a shard is simulated, compressed and written in this process; a model is trained on
2,000 simulations, reading its campaign included. Start-up is left out of both. Everything runs once to
compile and warm up, and medians count. A ratio above 1 means that more was expected than was taken.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when NumPy is imported

import numpy as np
import torch
import xarray as xr
from table import Table
from turns import in_turns

from jrflow.archive import open_archive
from jrflow.archive.paths import place
from jrflow.archive.shards import remove_shard
from jrflow.archive.store import Archive
from jrflow.campaign.run import design_campaign, run_campaign
from jrflow.campaign.shard import ShardTask, simulate_shard
from jrflow.config import Config
from jrflow.inference.from_archives import train_model
from jrflow.observe.levels import noise_levels, read_levels
from jrflow.planning.cost import simulation_seconds
from jrflow.planning.learning_cost import training_seconds
from jrflow.stages import STAGES

EVOKED: dict[str, Any] = {"protocol": {"kind": "evoked"}}
REST: dict[str, Any] = {"protocol": {"kind": "rest", "noise_sd": 100.0}}


def _network(n_regions: int, **more: Any) -> dict[str, Any]:
    connectome = {"kind": "synthetic", "n_regions": n_regions, "normalise": "in-strength", **more}
    return {"protocol": {"kind": "rest", "duration": 2.0, "transient": 0.5, "noise_sd": 100.0}} | {
        "connectome": connectome
    }


#: Name to simulations of a shard, preset, and settings of the simulation.
CASES: dict[str, tuple[int, str, dict[str, Any]]] = {
    "evoked, unit-consistent": (4096, "unit-consistent", EVOKED),
    "evoked, as-published": (4096, "as-published", EVOKED),
    "evoked, no settling": (1024, "unit-consistent", EVOKED | {"steady_state_tolerance": None}),
    "evoked, float64": (4096, "unit-consistent", EVOKED | {"precision": "float64"}),
    "rest, noise": (512, "unit-consistent", REST),
    "network of 68, delays": (32, "unit-consistent", _network(68, speed=3.0)),
    "network of 200": (32, "unit-consistent", _network(200)),
    "network of 200, delays": (32, "unit-consistent", _network(200, speed=3.0)),
}
TRAINING = "training, 2,000 simulations"
N_TRAINING = 2000


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[""], help="beginnings of cases")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--core", type=int, help="core to stay on")
    arguments = parser.parse_args(argv)
    core = min(os.sched_getaffinity(0)) if arguments.core is None else arguments.core
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, Python {platform.python_version()}, core {core}, load {load:.1f}")
    table = Table("Expected beside measured, one core, CPU time", "expected", "measured", "expected/measured")
    begins = tuple(arguments.only)
    with tempfile.TemporaryDirectory(prefix="jrflow-cost-") as temporary:
        cases = {name: partial(_shard, *case) for name, case in CASES.items()} | {TRAINING: _training}
        for k, (name, prepare) in enumerate(cases.items()):
            if name.startswith(begins):
                run, expected, unit, factor = prepare(Path(temporary) / str(k))
                measured = in_turns({name: run}, arguments.repeats, turn=0)[name]
                taken = 1 / measured.rate
                cells = [f"{factor * seconds:.3g} {unit}" for seconds in (expected, taken)]
                table.add(name, *cells, f"{expected / taken:.2f}")
    print(table)
    return 0


#: Returns the simulations (or trainings) that it did.
Prepared = tuple[Callable[[], int], float, str, float]


def _config(n: int, preset: str, simulation: dict[str, Any]) -> Config:
    """One campaign, whose shard is all of it."""
    width = 0.2 if "connectome" in simulation else 0.5
    return Config.model_validate(
        {
            "simulation": simulation,
            "priors": {"prior": {"kind": "relative-uniform", "half_width": width}},
            "campaigns": {
                "train": {"design": "prior", "n": n, "preset": preset, "prior": "prior"},
                "test": {"design": "prior", "n": 32, "preset": preset, "prior": "prior"},
            },
            "eeg": {"noise": {"quiet": {"kind": "snr", "snr_db": 20.0}}},
            "inference": {
                "models": {} if simulation is not EVOKED else {"model": {"train": "train", "test": "test"}},
                "training": {"max_presentations": 20_000},
            },
            "execution": {"backend": "in-process", "shard_size": n, "memory_per_worker": "8GiB"},
        }
    )


def _shard(n: int, preset: str, simulation: dict[str, Any], folder: Path) -> Prepared:
    """Simulate one shard again and again; microseconds or milliseconds a simulation."""
    config = _config(n, preset, simulation)
    store = design_campaign(config, "train", folder)

    def run() -> int:
        remove_shard(Archive.open(store), 0)
        return simulate_shard(ShardTask(str(store), 0))

    connectome = config.simulation.connectome
    n_regions = 1 if connectome is None else getattr(connectome, "n_regions", 1)
    unit, factor = ("us", 1e6) if n_regions == 1 else ("ms", 1e3)
    return run, simulation_seconds(config, "train", n_regions), unit, factor


def _training(folder: Path) -> Prepared:
    """Train one model again and again; seconds a training."""
    config = _config(N_TRAINING, "unit-consistent", EVOKED)
    run_campaign(config, "train", folder, progress=None)
    lead_field, levels = _noise(config, folder)
    numbers = count()

    def run() -> int:
        model = folder / str(next(numbers))
        store = folder / "train.zarr"
        network = config.inference.models["model"]
        train_model(store, lead_field, levels, config.inference.training, network, 0, model, progress=None)
        return 1

    # Of a rule that only starts, the time is its start.
    start = STAGES["lead_field"].seconds(config)
    return run, training_seconds(config, "model") - start, "s", 1.0


def _noise(config: Config, folder: Path) -> tuple[xr.DataArray, Any]:
    """Noise of eight channels that see one patch."""
    gain = np.random.default_rng(3).standard_normal((8, 1))
    lead_field = xr.DataArray(
        gain - gain.mean(axis=0), dims=("channel", "region"),
        coords={"channel": [f"E{i}" for i in range(8)], "region": ["column"]},
        attrs={"position_requested": [-40.0, 12.0, 47.0], "extent_mm": 10.0, "moment_nAm_per_mV": 13.0},
    )  # fmt: skip
    archive = open_archive(place(folder / "train.zarr"))
    table = noise_levels(config.eeg.noise, lead_field, config.simulation.timing, archive)
    table.to_netcdf(folder / "noise.nc", engine="h5netcdf")
    return read_levels(folder / "noise.nc")[:2]


if __name__ == "__main__":
    raise SystemExit(main())
