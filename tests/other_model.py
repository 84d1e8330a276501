"""What jrflow makes of another neural mass model: python other_model.py FOLDER PROTOCOL LIMITS (JSON)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import jrflow
from jrflow.archive.info import info
from jrflow.archive.paths import place
from jrflow.campaign import run_campaign
from jrflow.config.analysis import LimitsConfig
from jrflow.config.config import Config
from jrflow.config.default import default_config
from jrflow.config.load import ConfigError, parse_config
from jrflow.config.simulation import SimulationConfig
from jrflow.limits.fisher import recovery_limits
from jrflow.observe.noise import EvokedNoise
from jrflow.report import style
from jrflow.report.content import symbol
from jrflow.specification import prior_of

SOME = {"H_exc": {"kind": "published-range"}, "p": {"low": 1, "high": 9}}
DATA: dict[str, Any] = {
    "priors": {"all": {"kind": "relative-uniform"}, "some": {"kind": "independent", "parameters": SOME}},
    "campaigns": {
        "train": {"design": "prior", "n": 12, "prior": "all", "seed": 3},
        "other": {"design": "lhs", "n": 4, "prior": "some", "preset": "flat"},
    },
    "inference": {},
    "execution": {"backend": "in-process", "shard_size": 8, "chunk_size": 4},
}


def fault_of_a_foreign_name() -> str:
    """What a configuration with a parameter of the Jansen-Rit model is answered."""
    foreign = {"kind": "relative-uniform", "parameters": ["A_e"]}
    try:
        parse_config(DATA | {"priors": DATA["priors"] | {"all": foreign}})
    except ConfigError as error:
        return str(error)
    return ""


def main(argv: list[str]) -> int:
    folder, protocol, limits = Path(argv[0]), json.loads(argv[1]), json.loads(argv[2])
    config = parse_config(DATA | {"simulation": {"protocol": protocol}})
    for name in config.campaigns:
        run_campaign(config, name, folder, progress=None)
    archive, prior = jrflow.open_archive(folder / "train.zarr").load(), prior_of(config, "train")
    archive.reset_coords()[["source", "status", *prior.names]].to_netcdf(folder / "found.nc")
    simulation = SimulationConfig.model_validate({"protocol": protocol})
    noise = EvokedNoise(25.0 * np.eye(8), 3, simulation.timing.times, simulation.timing.period)
    lead_field = xr.DataArray(np.ones((8, 1)), dims=("channel", "region"), coords={"region": ["column"]})
    limit = recovery_limits(prior, lead_field, {"n": noise}, simulation, LimitsConfig(**limits), 5)
    explanation = archive.jrflow.explain(5)
    found = {
        "package": jrflow.__file__,
        "coords": list(map(str, archive.coords)),
        "source": dict(archive["source"].attrs) | {"summary": archive.attrs["summary"]},
        "selected": archive.query(sim="H_exc > 3.25").sizes["sim"],
        "explained": explanation.code(),
        "again": bool((explanation.simulate()["source"].values == archive["source"].values[5:6]).all()),
        "info": info(place(folder / "train.zarr")),
        "limits": limit["r2_limit"].values[0].tolist(),
        "targets": limit["parameter"].values.tolist(),
        "fault": fault_of_a_foreign_name(),
        "symbols": [str(symbol("loop_1")), style.symbol("loop_1"), style.symbol_with_unit("H_exc")],
        "presets": sorted({campaign.preset for campaign in default_config().campaigns.values()}),
        "schema": json.dumps(Config.model_json_schema()),
    }
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
