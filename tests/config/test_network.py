"""Networks in a configuration: what a connectome needs, what it rules out, and whether it fits a worker."""

from __future__ import annotations

import inspect
import io
from pathlib import Path
from typing import Any, get_args
from zipfile import ZipFile

import numpy as np
import pytest
import yaml

from jrflow.config.connectome import TvbConnectome, build_connectome
from jrflow.config.execution import ExecutionConfig
from jrflow.config.load import ConfigError, load_config, load_connectome, parse_config
from jrflow.config.simulation import SimulationConfig
from jrflow.model.connectome import Connectome
from jrflow.model.solvers import SOLVERS
from jrflow.planning.feasibility import check, parse_checked
from jrflow.planning.summary import summary
from jrflow.simulation import simulate

EXAMPLES = Path(__file__).parents[2] / "examples"
BASE = """\
simulation:
  connectome: {kind: synthetic, n_regions: 20}
  protocol: {kind: evoked, n_trials: 3, stim_regions: [lh-1, rh-9]}
priors:
  coupling: {kind: independent, parameters: {G: {low: 0, high: 2}, A_e: {low: 3, high: 4}}}
campaigns:
  train: {design: prior, n: 1000, prior: coupling}
execution: {shard_size: 256}
"""


def changed(**values: Any) -> dict[str, Any]:
    """The configuration above with values replaced; '__' in a name stands for a dot. None deletes."""
    data = yaml.safe_load(BASE)
    for key, value in values.items():
        *sections, last = key.split("__")
        place = data
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return data


def faults(data: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_checked(data)
    return [str(fault) for fault in caught.value.faults]


def write_zip(path: Path, connectome: Connectome) -> None:
    with ZipFile(path, "w") as archive:
        for name in ("weights", "tract_lengths"):
            text = io.StringIO()
            np.savetxt(text, getattr(connectome, name), fmt="%.17g")
            archive.writestr(f"{name}.txt", text.getvalue())
        archive.writestr("centres.txt", "\n".join(f"{name} 0 0 0" for name in connectome.names))


def test_the_configuration_itself_holds() -> None:
    config = parse_config(yaml.safe_load(BASE))
    connectome = load_connectome(config)
    assert connectome is not None
    assert connectome.digest == Connectome.synthetic(20).digest
    assert config.simulation.network_parameters == {"G": 1.0, "speed": np.inf}
    assert "network: Connectome(20 regions" in summary(config)
    assert "96.1 MB" in summary(config)  # 1,000 simulations x 20 regions x 1,201 samples x 4 bytes


def test_without_a_connectome_there_is_one_column() -> None:
    config = parse_config(_column())
    assert load_connectome(config) is None
    assert config.simulation.network_parameters == {}
    assert "network: one column" in summary(config)


def _column() -> dict[str, Any]:
    return changed(simulation={}, priors__coupling={"kind": "relative-uniform"})


@pytest.mark.parametrize("how", ["none", "max", "in-strength"])
def test_weights_are_rescaled_as_asked(how: str) -> None:
    connectome = {"kind": "synthetic", "n_regions": 20, "seed": 2, "normalise": how}
    config = parse_config(changed(simulation__connectome=connectome))
    made, plain = load_connectome(config), Connectome.synthetic(20, 2)
    assert made is not None
    expected = plain if how == "none" else plain.normalised(how)
    np.testing.assert_array_equal(made.weights, expected.weights)


SPEED = {"low": 2.0, "high": 20.0}
#: What is changed, and the key and parts of the one fault that it makes.
CASES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"simulation__connectome__kind": "syntetic"}, "simulation.connectome.kind",
        "expected one of file, synthetic, tvb-zip, received 'syntetic'; did you mean 'synthetic'?",
    ),
    (
        {"simulation__connectome__n_regions": 0}, "simulation.connectome.n_regions",
        "expected a number greater than or equal to 1, received 0",
    ),
    (
        {"simulation__connectome__n_region": 3}, "simulation.connectome.n_region",
        "unknown key; did you mean 'n_regions'?",
    ),
    (
        {"simulation__connectome__speed": 0}, "simulation.connectome.speed",
        "expected a number greater than 0, received 0",
    ),
    (
        {"simulation__connectome__normalise": "in-strenght"}, "simulation.connectome.normalise",
        "expected one of none, max, in-strength, received 'in-strenght'; did you mean 'in-strength'?",
    ),
    ({"simulation__solver": "rk5"}, "simulation.solver", "preset, euler, heun, rk4, exp-ab2, exp-ab3"),
    ({"simulation__steady_state_tolerance": 1}, "simulation.steady_state_tolerance", "a number less than 1"),
    (
        {"simulation__protocol__stim_regions": ["lh-1", "rh-09"]}, "simulation.protocol.stim_regions[1]",
        "no region 'rh-09' among the connectome's 20; did you mean 'rh-9'?",
    ),
    (
        {"simulation__protocol__stim_regions": ["V1"]}, "simulation.protocol.stim_regions[0]",
        "no region 'V1' among the connectome's 20; the first are lh-0, lh-1, lh-2, lh-3, lh-4, ...",
    ),
    (
        {"simulation__protocol__stim_regions": []}, "simulation.protocol.stim_regions",
        "expected at least one region, or null for all, received none",
    ),
    (
        {"simulation__solver": "rk4", "simulation__connectome__speed": 7}, "simulation.solver",
        "rk4: a solver of 4 stages needs values between the steps",
    ),
    (
        {"simulation__solver": "heun", "simulation__connectome__speed": 100}, "simulation.solver",
        "heun needs delays of at least one step",
    ),
    ({"simulation__connectome__speed": 1e-9}, "simulation.connectome.speed", "mm take > 2**31 steps"),
    (
        {"priors__coupling__parameters__A_e": {"low": 0, "high": 4}}, "priors.coupling.parameters.A_e.low",
        "A_e: expected finite values above 0 mV, received 0",
    ),
    (
        {"priors__coupling": {"kind": "relative-uniform", "parameters": ["A_e", "G"]}},
        "priors.coupling.parameters[1]",
        "parameter 'G' is the network's and has no usual range; use kind: independent",
    ),
    (
        {
            "campaigns__sobol": {"design": "saltelli", "n": 16, "prior": "coupling"},
            "sensitivity": {"sobol": ["sobol"]},
        },
        "sensitivity.sobol", "support one column so far, but simulation.connectome has many regions",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("values", "key", "message"), CASES)
def test_one_fault_is_one_clear_line(values: dict[str, Any], key: str, message: str) -> None:
    (fault,) = faults(changed(**values))
    assert fault.startswith(f"{key}: ")
    assert message in fault


@pytest.mark.parametrize("solver", ["preset", "euler", "exp-ab2", "exp-ab3", "exp-ab4", "strang"])
def test_other_solvers_take_delays(solver: str) -> None:
    values = {"simulation__solver": solver, "priors__coupling__parameters__speed": SPEED}
    assert parse_checked(changed(**values)).simulation.solver == solver


def test_a_prior_of_the_speed_is_a_network_with_delays() -> None:
    """RK4 cannot have them; Heun can, as long as the fastest one takes a step on the shortest way."""
    values: dict[str, Any] = {"priors__coupling__parameters__speed": SPEED, "simulation__solver": "rk4"}
    (fault,) = faults(changed(**values))
    assert fault.startswith("simulation.solver: rk4: a solver of 4 stages")
    values["simulation__solver"] = "heun"
    assert parse_checked(changed(**values))
    values["priors__coupling__parameters__speed"] = {"low": 2.0, "high": 100.0}
    (fault,) = faults(changed(**values))
    assert fault.startswith("simulation.solver: heun: heun needs delays")
    values["priors__coupling__parameters__speed"] = {"low": 1e-9, "high": 100.0}
    assert faults(changed(**values))[0].startswith("priors.coupling.parameters.speed: speed: expected m/s")


def test_rk4_without_delays_is_fine() -> None:
    assert parse_checked(changed(simulation__solver="rk4"))


def test_a_network_s_parameters_need_a_network() -> None:
    data = changed(simulation={"protocol": {"kind": "evoked", "stim_regions": ["lh-1"]}})
    data["priors"]["coupling"]["parameters"]["speed"] = SPEED
    found = faults(data)
    assert len(found) == 3
    for name in ("G", "speed"):
        start = f"priors.coupling.parameters.{name}: {name} acts between regions, but there is a single"
        assert sum(fault.startswith(start) for fault in found) == 1
    assert any(
        fault.startswith("simulation.protocol.stim_regions: a single column has no regions")
        for fault in found
    )


def test_inference_on_a_network_is_refused_once() -> None:
    models = {"m": {"train": "train", "test": "test"}}
    (fault,) = faults(
        changed(
            campaigns__test={"design": "prior", "n": 10, "prior": "coupling"},
            inference={"models": models}, eeg={"noise": {"clean": {"kind": "snr", "snr_db": 20}}},
        )
    )  # fmt: skip
    assert fault.startswith(
        "inference.models: lead field, noise and what is computed from them support one column"
    )


def test_models_need_noise_levels_and_responses_without_process_noise() -> None:
    data = _column() | {"inference": {"models": {"m": {"train": "train", "test": "test"}}}}
    data["campaigns"]["test"] = {"design": "prior", "n": 10, "prior": "coupling"}
    (fault,) = faults(data)
    assert fault == "eeg.noise: models are trained and scored at noise levels; give at least one"
    data |= {"eeg": {"noise": {"clean": {"kind": "snr", "snr_db": 20}}}}
    assert parse_config(data)
    (fault,) = faults(data | {"simulation": {"protocol": {"kind": "evoked", "noise_sd": 5}}})
    assert fault.startswith("inference.models: models are compared with a limit that is valid for responses")


def test_a_shard_that_no_worker_can_hold_is_refused_with_what_fits() -> None:
    values: dict[str, Any] = {"simulation__connectome__n_regions": 400}
    values |= {"simulation__protocol__stim_regions": None, "campaigns__train__n": 10_000}
    # 4,096 x 400 x 1,201 x 4 bytes are 7.87 GB; a worker needs twice that and 0.4 GB
    (fault,) = faults(changed(**values, execution={"shard_size": 4096}))
    assert fault.startswith(
        "execution.shard_size: a worker on 4,096 simulations of 400 regions and 1,201 samples needs 16.1 GB, "
        "more than memory_per_worker (2GiB); set shard_size to 256 and chunk_size to 1"
    )
    assert parse_checked(changed(**values, execution={"shard_size": 256, "chunk_size": 8}))
    assert parse_checked(changed(**values, execution={"memory_per_worker": "17GB"}))
    assert parse_checked(changed(**values | {"campaigns__train__n": 100}, execution={}))
    (fault,) = faults(changed(**values, execution={"memory_per_worker": "300MB"}))
    assert fault.endswith("more than memory_per_worker (300MB); give workers more memory")
    (fault,) = faults(changed(**values, execution={"memory_per_worker": "64GB", "chunk_size": 2048}))
    assert fault.startswith(
        "execution.chunk_size: 2,048 simulations of 400 regions and 1,201 samples take 3.94 GB"
    )


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("500MB", 5e8), ("2GiB", 2 * 2**30), ("1.5 kB", 1500), ("7B", 7), ("1TiB", 2**40)]
)
def test_memory_in_bytes(text: str, n_bytes: float) -> None:
    assert ExecutionConfig(memory_per_worker=text).memory_bytes == n_bytes


def test_a_connectome_in_a_file_is_checked_with_the_files(tmp_path: Path) -> None:
    path = tmp_path / "brain.zip"
    config = parse_config(changed(simulation__connectome={"kind": "tvb-zip", "path": str(path)}))
    with pytest.raises(ConfigError, match=r"simulation\.connectome\.path: no such file: '.*brain\.zip'"):
        check(config)
    path.write_text("no zip")
    with pytest.raises(
        ConfigError, match=r"simulation\.connectome\.path: .*expected a connectivity in TVB's zip"
    ):
        check(config)
    write_zip(path, Connectome.synthetic(6))
    with pytest.raises(ConfigError, match=r"stim_regions\[1\]: no region 'rh-9' among the connectome's 6"):
        check(config)
    write_zip(path, Connectome.synthetic(20))
    check(config)
    read = build_connectome(TvbConnectome(kind="tvb-zip", path=str(path), normalise="max"))
    assert read.digest == Connectome.synthetic(20).normalised("max").digest


def test_tables_are_a_connectome(tmp_path: Path) -> None:
    brain = Connectome.synthetic(20)
    weights, lengths = tmp_path / "weights.csv", tmp_path / "lengths.csv"
    section = {"kind": "file", "path": str(weights), "tract_lengths": str(lengths)}
    config = parse_config(changed(simulation__connectome=section, simulation__protocol={"kind": "evoked"}))
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert [fault.key for fault in caught.value.faults] == [
        ("simulation", "connectome", "path"), ("simulation", "connectome", "tract_lengths"),
    ]  # fmt: skip
    np.savetxt(weights, brain.weights, delimiter=",")
    np.savetxt(lengths, brain.tract_lengths[:5], delimiter=",")
    with pytest.raises(
        ConfigError, match=r"simulation\.connectome\.path: .*tract_lengths: expected the shape"
    ):
        check(config)
    np.savetxt(lengths, brain.tract_lengths, delimiter=",")
    check(config)
    assert config.simulation.connectome is not None
    np.testing.assert_allclose(build_connectome(config.simulation.connectome).weights, brain.weights)


def test_what_a_file_and_other_sections_lack_is_told_at_once(tmp_path: Path) -> None:
    write_zip(tmp_path / "brain.zip", Connectome.synthetic(6))
    data = changed(
        simulation__connectome={"kind": "tvb-zip", "path": str(tmp_path / "brain.zip")},
        eeg={"noise": {"measured": {"kind": "covariance", "path": "absent-cov.fif"}}},
    )
    with pytest.raises(ConfigError) as caught:
        check(parse_config(data))
    assert [fault.key[-2:] for fault in caught.value.faults] == [("measured", "path"), ("stim_regions", 1)]


def test_solvers_and_defaults_are_those_of_the_model() -> None:
    fields = SimulationConfig.model_fields
    assert set(get_args(fields["solver"].annotation)) == {"preset", *SOLVERS}
    signature = inspect.signature(simulate).parameters
    for name in ("dt", "sfreq", "precision", "backend", "max_source", "steady_state_tolerance"):
        assert fields[name].default == signature[name].default, name


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_hold(path: Path) -> None:
    assert load_config(path).run.name == path.stem
