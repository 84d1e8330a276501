"""Campaigns of networks: from a connectome in the configuration to regions in the archive."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import xarray as xr
import yaml

from jrflow.archive import ArchiveMismatchError, ShardError, open_archive
from jrflow.archive.paths import place
from jrflow.campaign import ShardTask, run_campaign
from jrflow.campaign.verify import verify_archive
from jrflow.cli import main
from jrflow.config import Config
from jrflow.config.fault import ConfigError
from jrflow.config.simulation import SimulationConfig
from jrflow.model.connectome import Connectome
from jrflow.simulation import simulate
from jrflow.specification import Specification

MakeConfig = Callable[..., Config]
EXAMPLE = Path(__file__).parents[1] / "examples" / "whole-brain.yaml"

PROTOCOL = {
    "kind": "evoked", "n_trials": 4, "isi": 0.25, "tmin": -0.05, "tmax": 0.15, "transient": 0.05,
    "background": 90.0, "stim_regions": ["lh-0"],
}  # fmt: skip
SYNTHETIC = {"kind": "synthetic", "n_regions": 5, "seed": 3, "normalise": "in-strength", "speed": 6.0}
PRIOR = {
    "kind": "independent",
    "parameters": {"G": {"low": 0.0, "high": 40.0}, "A_e": {"low": 2.6, "high": 4.0}},
}


@pytest.fixture(scope="module")
def network_config(tiny_config: MakeConfig) -> MakeConfig:
    def make(connectome: dict[str, Any] = SYNTHETIC, prior: Any = PRIOR, **simulation: Any) -> Config:
        settings = {"connectome": connectome, "protocol": PROTOCOL} | simulation
        execution = {"backend": "in-process", "shard_size": 8, "chunk_size": 4}
        return tiny_config({"n": 20}, simulation=settings, priors={"half": prior}, execution=execution)

    return make


def write_zip(path: Path, connectome: Connectome) -> None:
    """A connectivity in TVB's format."""
    centres = np.zeros((connectome.n_regions, 3)) if connectome.centres is None else connectome.centres
    lines = [f"{name} {x} {y} {z}" for name, (x, y, z) in zip(connectome.names, centres, strict=True)]
    with ZipFile(path, "w") as archive:
        for name in ("weights", "tract_lengths"):
            text = io.StringIO()
            np.savetxt(text, getattr(connectome, name), fmt="%.17g")
            archive.writestr(f"{name}.txt", text.getvalue())
        archive.writestr("centres.txt", "\n".join(lines))


def test_the_archive_is_what_simulate_returns(network_config: MakeConfig, tmp_path: Path) -> None:
    manifest = run_campaign(network_config(), "train", tmp_path, progress=None)
    archive = open_archive(tmp_path / "train.zarr").load()
    connectome = Connectome.synthetic(5, 3).normalised("in-strength")
    assert archive["region"].values.tolist() == ["lh-0", "lh-1", "lh-2", "rh-0", "rh-1"]
    assert archive["source"].shape == (20, 5, 201)
    np.testing.assert_array_equal(archive["speed"], np.full(20, 6.0))
    assert archive["speed"].attrs["units"] == "m/s"
    assert 0 <= float(archive["G"].min()) < 5 < 35 < float(archive["G"].max()) <= 40
    outcomes = ["source", "status", "failed_step", "n_trials"]
    simulation = SimulationConfig.model_validate(manifest.specification["simulation"])
    expected = simulate(
        archive.drop_vars(outcomes), protocol=simulation.protocol, connectome=connectome,
        seed=manifest.specification["seed"],
    )  # fmt: skip
    xr.testing.assert_equal(archive[outcomes], expected[outcomes])
    response = np.ptp(archive["source"].values, axis=2)
    assert (response[:, 0] > 10).all(), "the stimulated region"
    assert (response[:, 1:] > 0).any()
    assert manifest.layout.n_regions == 5
    assert manifest.specification["connectome_digest"] == connectome.digest


@pytest.mark.parametrize("noise_sd", [0.0, 60.0])
def test_values_depend_neither_on_shards_nor_on_order(
    network_config: MakeConfig, tmp_path: Path, noise_sd: float
) -> None:
    """Also where every simulation has delays, and noise, of its own."""
    prior = PRIOR | {"parameters": PRIOR["parameters"] | {"speed": {"low": 2.0, "high": 20.0}}}  # type: ignore[operator]
    config = network_config(prior=prior, protocol=PROTOCOL | {"noise_sd": noise_sd})
    whole = config.model_copy(update={"execution": config.execution.model_copy(update={"shard_size": 32})})
    run_campaign(whole, "train", tmp_path / "whole", progress=None)
    run_campaign(config, "train", tmp_path / "parts", lambda f, tasks: map(f, tasks[::-1]), progress=None)
    expected = open_archive(tmp_path / "whole" / "train.zarr").load()
    found = open_archive(tmp_path / "parts" / "train.zarr").load()
    assert found.attrs["solver"] == "exp-ab4"
    assert len(np.unique(found["speed"])) == 20
    np.testing.assert_array_equal(
        found["source"].values.view(np.int32), expected["source"].values.view(np.int32)
    )
    np.testing.assert_array_equal(found["n_trials"], expected["n_trials"])
    assert (found["n_trials"] == 4).all() or noise_sd == 0


def test_a_process_builds_its_connectome_once(
    network_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1,000 regions it takes 0.2 s, which is more than simulating a small shard."""
    built, hashed = [], []
    synthetic, sha256 = Connectome.synthetic, hashlib.sha256

    def counted(n_regions: int, seed: int) -> Connectome:
        built.append(seed)
        return synthetic(n_regions, seed)

    def hashing(content: bytes = b"") -> Any:
        hashed.append(content)
        return sha256(content)

    monkeypatch.setattr(Connectome, "synthetic", counted)
    monkeypatch.setattr("jrflow.model.connectome.hashlib.sha256", hashing)
    manifest = run_campaign(network_config(SYNTHETIC | {"seed": 17}), "train", tmp_path, progress=None)
    assert manifest.layout.n_shards > 1
    assert built == [17]
    assert sum(content.startswith(b'[["lh-0"') for content in hashed) == 1


def test_without_delays_the_speed_is_infinite(network_config: MakeConfig, tmp_path: Path) -> None:
    config = network_config(
        SYNTHETIC | {"speed": None, "G": 12.0}, PRIOR | {"parameters": {"A_e": {"low": 3, "high": 4}}}
    )
    content = Specification.of(config, "train").content
    assert content["prior"]["fixed"]["speed"] is None
    json.dumps(content, allow_nan=False)
    run_campaign(config, "train", tmp_path, progress=None)
    archive = xr.open_zarr(tmp_path / "train.zarr")
    assert np.isinf(archive["speed"]).all()
    assert archive.query(sim="speed > 100 and G == 12").sizes["sim"] == 20


def test_a_connectome_in_a_file(network_config: MakeConfig, tmp_path: Path) -> None:
    brain = Connectome.synthetic(6, 1)
    write_zip(tmp_path / "brain.zip", brain)
    path = str(tmp_path / "brain.zip")
    config = network_config({"kind": "tvb-zip", "path": path, "speed": 6.0})
    run_campaign(config, "train", tmp_path, progress=None)
    archive = open_archive(tmp_path / "train.zarr")
    assert archive["region"].values.tolist() == list(brain.names)
    assert Specification.parse(json.loads(archive.attrs["specification"])).connectome_digest == brain.digest
    write_zip(tmp_path / "brain.zip", Connectome.synthetic(6, 2))
    with pytest.raises(
        ArchiveMismatchError, match=f"connectome_digest: in the store {brain.digest}, expected"
    ):
        run_campaign(config, "train", tmp_path, progress=None)


def test_a_file_that_changes_while_a_campaign_runs(network_config: MakeConfig, tmp_path: Path) -> None:
    path = tmp_path / "brain.zip"
    write_zip(path, Connectome.synthetic(6, 1))
    config = network_config({"kind": "tvb-zip", "path": str(path)})

    def meddled(function: Callable[[ShardTask], int], tasks: list[ShardTask]) -> Iterator[int]:
        yield function(tasks[0])
        write_zip(path, Connectome.synthetic(6, 2))
        yield function(tasks[1])

    with pytest.raises(
        ShardError, match=r"shard 1 .*the connectome has changed .*expected sha256 \w{12}, found"
    ):
        run_campaign(config, "train", tmp_path, meddled, progress=None)
    path.unlink()
    with pytest.raises(ConfigError, match=r"simulation\.connectome\.path: .*No such file.*brain\.zip"):
        run_campaign(config, "train", tmp_path, progress=None)


def test_what_does_not_fit_the_file_is_refused_before_anything_runs(
    network_config: MakeConfig, tmp_path: Path
) -> None:
    write_zip(tmp_path / "brain.zip", Connectome.synthetic(6, 1))
    connectome = {"kind": "tvb-zip", "path": str(tmp_path / "brain.zip")}
    config = network_config(connectome, protocol=PROTOCOL | {"stim_regions": ["lh-0", "lh-9"]})
    with pytest.raises(ConfigError, match=r"stim_regions\[1\]: no region 'lh-9' among the connectome's 6"):
        run_campaign(config, "train", tmp_path / "out", progress=None)
    assert not (tmp_path / "out").exists()


def test_another_wiring_is_another_campaign(network_config: MakeConfig, tmp_path: Path) -> None:
    run_campaign(network_config(), "train", tmp_path, progress=None)
    with pytest.raises(ArchiveMismatchError) as error:
        run_campaign(network_config(SYNTHETIC | {"normalise": "max"}), "train", tmp_path, progress=None)
    assert "simulation.connectome.normalise: in the store in-strength, expected max" in str(error.value)
    assert "connectome_digest: in the store" in str(error.value)


def test_every_setting_reaches_the_simulation(
    network_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "solver": "heun", "dt": 5e-4, "sfreq": 500.0, "precision": "float64", "backend": "cuda",
        "steady_state_tolerance": 1e-3, "max_source": 500.0,
    }  # fmt: skip
    received: dict[str, Any] = {}

    def noted(parameters: xr.Dataset, **given: Any) -> xr.Dataset:
        received.update(given)
        return simulate(parameters, **given | {"backend": "cpu"})

    monkeypatch.setattr("jrflow.campaign.shard.simulate", noted)
    config = network_config(SYNTHETIC | {"speed": None}, **settings)
    run_campaign(config, "train", tmp_path, progress=None)
    assert {name: received[name] for name in settings} == settings
    assert received["protocol"] == config.simulation.protocol
    assert received["connectome"].n_regions == 5
    attrs = open_archive(tmp_path / "train.zarr").attrs
    assert (attrs["backend"], attrs["precision"], attrs["solver"]) == ("cuda", "float64", "heun")


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands but for the number of simulations, over worker processes."""
    data = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    data["campaigns"]["train"]["n"] = 24
    data["execution"] |= {"shard_size": 16}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert main(["campaign", str(tmp_path / "config.yaml"), "train", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "train.zarr: 24 ok" in printed
    found = xr.open_zarr(tmp_path / "train.zarr").query(sim="G > 2 and status == 0")
    assert 0 < found.sizes["sim"] <= 24
    assert found.sizes["region"] == 68
    stimulated = found["source"].sel(region=["lh-12", "rh-12"]).load()
    assert (np.ptp(stimulated.values, axis=2) > 10).all()


def test_parameters_that_differ_between_regions_are_drawn_stored_and_extended(
    network_config: MakeConfig, tmp_path: Path
) -> None:
    """One parameter lies on a gradient, of another each region draws its own value."""
    prior = {
        "kind": "independent",
        "parameters": {
            "G": {"low": 0.0, "high": 40.0},
            "A_e": {"low": 2.6, "high": 4.0, "regions": "independent"},
            "p": {"kind": "normal", "mean": 90, "sd": 10, "regions": "independent"},
            "p_sd": {"low": 0.0, "high": 20.0},
            "b_e": {"low": 90.0, "high": 110.0, "gradient": {"axis": "y", "low": 5.0, "high": 10.0}},
        },
    }
    config = network_config(prior=prior)
    manifest = run_campaign(config, "train", tmp_path, progress=None)
    archive = open_archive(tmp_path / "train.zarr").load()
    connectome = Connectome.synthetic(5, 3).normalised("in-strength")
    assert {name: archive[name].dims for name in ("G", "A_e", "p", "p_sd", "b_e", "C")} == {
        "G": ("sim",), "A_e": ("sim", "region"), "p": ("sim", "region"), "p_sd": ("sim",),
        "b_e": ("sim", "region"), "C": ("sim",),
    }  # fmt: skip
    assert set(xr.open_zarr(tmp_path / "train.zarr").coords) == set(archive.coords)
    assert archive["A_e"].attrs == {"units": "mV", "long_name": "excitatory synaptic gain"}
    assert archive["p"].attrs == {"units": "1/s", "long_name": "background input, mean"}
    assert "stim_rate" not in archive.coords
    assert len(np.unique(archive["A_e"])) == 100
    assert connectome.centres is not None
    order = np.argsort(connectome.centres[:, 1], kind="stable")
    assert (np.diff(archive["b_e"].values[:, order], axis=1) >= 0).all(), "larger towards the front"
    outcomes = ["source", "status", "failed_step", "n_trials"]
    simulation = SimulationConfig.model_validate(manifest.specification["simulation"])
    expected = simulate(
        archive.drop_vars(outcomes), protocol=simulation.protocol, connectome=connectome,
        seed=manifest.specification["seed"],
    )  # fmt: skip
    xr.testing.assert_equal(archive[outcomes], expected[outcomes])
    explanation = archive.jrflow.explain(7)
    assert explanation.parameters["A_e"] == tuple(archive["A_e"].values[7].tolist())
    np.testing.assert_array_equal(explanation.simulate()["source"].values[0], archive["source"].values[7])
    assert "A_e" in str(explanation)

    campaign = config.campaigns["train"].model_copy(update={"n": 30})
    run_campaign(
        config.model_copy(update={"campaigns": {"train": campaign}}), "train", tmp_path, progress=None
    )
    longer = open_archive(tmp_path / "train.zarr").load()
    for name in ("A_e", "b_e", "p", "p_sd", "G", "source"):
        np.testing.assert_array_equal(longer[name].values[:20], archive[name].values)
    assert all(finding.sound for finding in verify_archive(place(tmp_path / "train.zarr")))
