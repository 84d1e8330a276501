"""A store of 100 made-up simulations in four shards, the last not full; nothing is simulated here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from upath import UPath

from jrflow.archive.layout import ShardLayout
from jrflow.archive.paths import place
from jrflow.archive.seal import seal
from jrflow.archive.shards import read_design, write_shard
from jrflow.archive.store import Archive, create_store
from jrflow.archive.vocabulary import FORMAT
from jrflow.config.campaigns import CampaignConfig
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design import Prior, make_design
from jrflow.specification import Specification

N_SIMULATIONS, SHARD_SIZE, CHUNK_SIZE = 100, 32, 8
TIMES = np.arange(-3, 9) / 1000
N_TRIALS = 10
PRIOR = Prior.of(RelativeUniformPrior(kind="relative-uniform"), "unit-consistent")
SPECIFICATION = Specification.parse(
    {
        "campaign": "train",
        "design": "prior",
        "n": N_SIMULATIONS,
        "preset": "unit-consistent",
        "seed": 5,
        "prior": PRIOR.describe(),
        "simulation": {"dt": 0.001, "solver": "euler", "protocol": {"kind": "evoked", "n_trials": N_TRIALS}},
        "connectome_digest": None,
    }
)
ATTRS = {
    "format": FORMAT,
    "campaign": "train",
    "specification": SPECIFICATION.text,
    "config_hash": "abc",
    "git_commit": "unknown",
    "versions": {"numba": "0.61"},
}


@pytest.fixture(scope="session")
def design() -> xr.Dataset:
    campaign = CampaignConfig(design="prior", n=N_SIMULATIONS, prior="half")
    return make_design(campaign, PRIOR, seed=0)


@pytest.fixture
def store(tmp_path: Path, design: xr.Dataset) -> UPath:
    path = place(tmp_path / "train.zarr")
    layout = ShardLayout(N_SIMULATIONS, 1, len(TIMES), SHARD_SIZE, CHUNK_SIZE)
    create_store(path, design, ["column"], TIMES, layout, design.attrs | ATTRS)
    return path


@pytest.fixture(scope="session")
def made_up() -> Callable[[UPath, int], xr.Dataset]:
    """Something like a simulation of a shard: its value tells its id.

    Every third failed (status 2), at ten times its id; of the others, the even ones settled after 4 trials.
    """

    def simulated(path: UPath, shard: int) -> xr.Dataset:
        layout = Archive.open(path).layout
        parameters, n_times = read_design(Archive.open(path), layout.simulations(shard)), layout.n_times
        ids = parameters["sim"].values
        source = np.broadcast_to(ids[:, None, None], (len(ids), 1, n_times)).astype(np.float32)
        failed = ids % 3 == 0
        outcomes = {
            "status": np.where(failed, 2, 0).astype(np.int8),
            "failed_step": np.where(failed, 10 * ids, -1).astype(np.int32),
            "n_trials": np.where(~failed & (ids % 2 == 0), 4, N_TRIALS).astype(np.int32),
        }
        simulated = parameters.assign({name: ("sim", values) for name, values in outcomes.items()})
        return simulated.assign(source=(("sim", "region", "time"), source))

    return simulated


@pytest.fixture
def full_store(store: UPath, made_up: Callable[[UPath, int], xr.Dataset]) -> UPath:
    for shard in range(4):
        write_shard(Archive.open(store), shard, made_up(store, shard))
    return store


@pytest.fixture
def sealed(full_store: UPath) -> UPath:
    """The same, sealed; usable are those whose id is no multiple of 3."""
    seal(Archive.open(full_store), {})
    return full_store
