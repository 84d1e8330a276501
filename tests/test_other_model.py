"""Another neural mass model needs no change outside ``model/``.

The stand-in is made of a copy of the package in which files of ``model/`` alone are edited: every parameter,
product and preset has another name, and the source has the opposite sign. What is simulated, stored,
configured, limited and named in reports then carries the new names, and the numbers are those of the
Jansen-Rit model up to that sign.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import jrflow
from jrflow.config.analysis import LimitsConfig
from jrflow.config.priors import RelativeUniformPrior
from jrflow.config.simulation import SimulationConfig
from jrflow.design import Prior
from jrflow.limits.fisher import recovery_limits
from jrflow.observe.noise import EvokedNoise

SOURCE = Path(jrflow.__file__).parent
#: New names; those in quotes only where the table and the equations name parameters.
NAMES = {
    "A_e": "H_exc", "A_i": "H_inh", "b_e": "k_exc", "b_i": "k_inh", "a_1": "w_1", "a_2": "w_2", "a_3": "w_3",
    "a_4": "w_4", "v_max": "q_max", "v_0": "theta",
}  # fmt: skip
QUOTED = {
    '"C"': '"n_syn"', '"r"': '"rho"', 'f"C_{k}"': 'f"loop_{k}"', 'f"a_{k}"': 'f"w_{k}"',
    "_defaults(r=": "_defaults(rho=",
    '"unit-consistent"': '"plain"', '"as-published"': '"flat"', 'name="Jansen-Rit"': 'name="Stand-in"',
    '"source activity y1 - y2"': '"source activity y2 - y1"', 'Quantity("y1 - y2"': 'Quantity("y2 - y1"',
}  # fmt: skip
PROTOCOL = {"kind": "evoked", "n_trials": 3, "isi": 0.25, "tmin": -0.05, "tmax": 0.15, "transient": 0.05}
LIMITS = {"n_draws": 8}

SCRIPT = Path(__file__).parent / "other_model.py"


def stand_in(folder: Path) -> Path:
    """Copy the package with another model; only files of ``model/`` change."""
    package = folder / "jrflow"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (package / "model").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for old, new in NAMES.items():
            text = re.sub(rf"\b{old}\b", new, text)
        if path.name in {"jansen_rit.py", "equations.py"}:
            for old, new in QUOTED.items():
                text = text.replace(old, new)
        if path.name == "recording.py":
            text = text.replace("y1[lane] - y2[lane]", "y2[lane] - y1[lane]")
        path.write_text(text, encoding="utf-8")
    return package


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("other-model")
    package = stand_in(folder)
    changed = {
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        if path.read_bytes() != (package / path.relative_to(SOURCE)).read_bytes()
    }
    assert changed == {"model"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), json.dumps(PROTOCOL), json.dumps(LIMITS)],
        env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    assert result["package"] == str(package / "__init__.py")
    return result | {"archive": xr.load_dataset(folder / "found.nc", engine="h5netcdf")}


def prior() -> Prior:
    return Prior.of(RelativeUniformPrior(kind="relative-uniform"), "unit-consistent")


@pytest.mark.slow
def test_simulations_and_archives_are_the_models_under_its_own_names(found: dict[str, Any]) -> None:
    archive = found["archive"]
    new = found["targets"][: len(prior().names)]
    old = dict(zip(prior().names, (archive[name].values for name in new), strict=True))
    expected = jrflow.simulate(old, protocol=SimulationConfig.model_validate({"protocol": PROTOCOL}).protocol)
    np.testing.assert_array_equal(archive["source"], -expected["source"])
    assert set(found["coords"]) >= {*NAMES.values(), "n_syn", "rho", "sim", "region", "time"}
    assert not set(found["coords"]) & {*NAMES, "C", "r"}
    assert found["source"]["long_name"] == "source activity y2 - y1"
    assert "Stand-in neural mass model (preset plain)" in found["source"]["summary"]
    assert 0 < found["selected"] < 12
    assert found["again"]
    for text in (found["explained"], found["info"]):
        assert "H_exc" in text
        assert "A_e" not in text


@pytest.mark.slow
def test_limits_are_the_models_with_its_own_products(found: dict[str, Any]) -> None:
    simulation = SimulationConfig.model_validate({"protocol": PROTOCOL})
    noise = EvokedNoise(25.0 * np.eye(8), 3, simulation.timing.times, simulation.timing.period)
    lead_field = xr.DataArray(np.ones((8, 1)), dims=("channel", "region"), coords={"region": ["column"]})
    expected = recovery_limits(prior(), lead_field, {"n": noise}, simulation, LimitsConfig(**LIMITS), 5)
    np.testing.assert_allclose(found["limits"], expected["r2_limit"].values[0], rtol=1e-6)
    assert found["targets"][-5:] == ["w_4", "loop_1", "loop_2", "loop_3", "loop_4"]


@pytest.mark.slow
def test_configuration_and_report_know_the_models_names_only(found: dict[str, Any]) -> None:
    assert "unknown parameter 'A_e'" in found["fault"]
    assert "H_exc" in found["schema"]
    assert '"A_e"' not in found["schema"]
    assert found["presets"] == ["flat", "plain"]
    assert found["symbols"] == [
        "<i>n</i><sub>syn</sub>&#8202;<i>w</i><sub>1</sub>", "$n_{syn}\\,w_1$", "$H_{exc}$ (mV)",
    ]  # fmt: skip
