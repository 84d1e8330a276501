"""Configurations with one error or several: each is found at its key, all at once, before anything runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from jrflow.config.fault import ConfigError, dotted
from jrflow.planning.feasibility import parse_checked
from jrflow.planning.plausibility import implausible

BASE = """\
run: {name: bad}
priors:
  all: {kind: relative-uniform}
campaigns:
  train: {design: prior, n: 1000, prior: all}
  test: {design: prior, n: 10, prior: all}
  oat: {design: one-at-a-time, n: 10, prior: all}
eeg:
  noise: {clean: {kind: snr, snr_db: 20}}
inference:
  models: {m: {train: train, test: test}}
sensitivity: {one_at_a_time: [oat]}
"""


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The configuration above with values replaced; their keys have dots."""
    data = yaml.safe_load(BASE)
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = data
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return data


def found(data: dict[str, Any]) -> list[str]:
    """Keys of all errors."""
    with pytest.raises(ConfigError) as caught:
        parse_checked(data)
    message = str(caught.value)
    assert "Traceback" not in message
    assert "pydantic.dev" not in message
    assert all(fault.message for fault in caught.value.faults)
    return sorted(dotted(fault.key) for fault in caught.value.faults)


def prior(**distribution: Any) -> dict[str, Any]:
    return {"priors.all": {"kind": "independent", "parameters": {"A_e": distribution}}}


#: Networks have neither models nor sensitivity analyses.
NETWORK: dict[str, Any] = {"inference": {}, "sensitivity": {}}

#: What is changed, and the keys of all errors that this makes.
CASES: list[tuple[dict[str, Any], list[str]]] = [
    # names that exist nowhere
    ({"eeg.head": {"kind": "montage", "montage": "nonsense64"}}, ["eeg.head.montage"]),
    ({"eeg.head": {"kind": "montage", "montage": "artinis-octamon"}}, ["eeg.head.montage"]),
    ({"eeg.head": {"kind": "montage", "montage": ""}}, ["eeg.head.montage"]),
    ({"sensitivity.channel": "Q99"}, ["sensitivity.channel"]),
    ({"sensitivity.channel": "fz"}, ["sensitivity.channel"]),
    ({"campaigns.oat.prior": "al"}, ["campaigns.oat.prior"]),
    ({"inference.models.m.network": "bilstn"}, ["inference.models.m.network"]),
    # what a stage would refuse
    (
        {"campaigns.s": {"design": "saltelli", "n": 8, "prior": "all"}, "sensitivity.sobol": ["s"]},
        ["sensitivity.sobol[0]"],
    ),
    # units
    ({"eeg.source": {"position": [-0.04, 0.012, 0.047]}}, ["eeg.source.position"]),
    ({"eeg.source": {"position": [-400.0, 120.0, 470.0]}}, ["eeg.source.position"]),
    ({"simulation": {"dt": 0.05, "sfreq": 20}, "inference.training": {"sfreq": 20}}, ["simulation.dt"]),
    # numbers
    ({"campaigns.train.n": 1e30}, ["campaigns.train.n"]),
    ({"campaigns.train.n": 10**400}, ["campaigns.train.n"]),
    ({"campaigns.train.n": 0}, ["campaigns.train.n"]),
    ({"campaigns.train.n": -5}, ["campaigns.train.n"]),
    ({"campaigns.train.n": True}, ["campaigns.train.n"]),
    ({"campaigns.train.n": "many"}, ["campaigns.train.n"]),
    ({"campaigns.train.n": None}, ["campaigns.train.n"]),
    ({"campaigns.train.n": [1000]}, ["campaigns.train.n"]),
    ({"campaigns.train.n": 1000.5}, ["campaigns.train.n"]),
    ({"campaigns.oat.n": 1}, ["campaigns.oat"]),
    ({"campaigns.train.n": 10**12}, ["campaigns.train.n", "campaigns.train.n"]),
    ({"run.seed": -1}, ["run.seed"]),
    ({"run.seed": 2**64}, ["run.seed"]),
    ({"simulation": {"dt": 0}}, ["simulation.dt"]),
    ({"simulation": {"dt": -1e-3}}, ["simulation.dt"]),
    ({"simulation": {"dt": float("nan")}}, ["simulation.dt"]),
    ({"simulation": {"dt": float("inf")}}, ["simulation.dt"]),
    ({"simulation": {"dt": 1e-300}}, ["simulation"]),
    ({"simulation": {"sfreq": 1e-300}}, ["simulation"]),
    ({"simulation": {"sfreq": 1e300}}, ["simulation.sfreq"]),
    ({"simulation": {"max_source": -1}}, ["simulation.max_source"]),
    ({"simulation": {"max_source": float("nan")}}, ["simulation.max_source"]),
    ({"simulation": {"protocol": {"kind": "evoked", "isi": 0}}}, ["simulation.protocol.isi"]),
    ({"simulation": {"protocol": {"kind": "evoked", "tmax": 1e12}}}, ["simulation"]),
    ({"simulation": {"protocol": {"kind": "evoked", "n_trials": 10**15}}}, ["simulation"]),
    ({"simulation": {"protocol": {"kind": "evoked", "gains": [1, 2]}}}, ["simulation.protocol.gains[2]"]),
    (
        {"simulation": {"protocol": {"kind": "evoked", "stim_regions": []}}},
        ["simulation.protocol.stim_regions"],
    ),
    ({"inference.models.m.seeds": 10**9}, ["inference.models.m.seeds"]),
    (
        {"inference.networks": {"bilstm": {"kind": "bilstm", "hidden": 10**9}}},
        ["inference.networks.bilstm.hidden"],
    ),
    ({"execution": {"memory_per_worker": "2 apples"}}, ["execution.memory_per_worker"]),
    ({"execution": {"memory_per_worker": "1MB"}}, ["execution.shard_size"]),
    ({"execution": {"n_workers": -1}}, ["execution.n_workers"]),
    ({"limits": {"posterior_cases": 3}}, ["limits.posterior_cases"]),
    (prior(low=3, high=2), ["priors.all.parameters.A_e"]),
    (prior(low=-1, high=2), ["priors.all.parameters.A_e.low"]),
    (prior(low=0, high=2), ["priors.all.parameters.A_e.low"]),
    # shapes
    ({"eeg": 3}, ["eeg"]),
    ({"campaigns": []}, ["campaigns"]),
    ({"priors": {}}, [*(f"campaigns.{name}.prior" for name in ("oat", "test", "train")), "priors"]),
    ({"campaigns": {}, "inference": {}, "sensitivity": {}}, ["campaigns"]),
    ({"run": "demo"}, ["run"]),
    ({"run.name": "../up"}, ["run.name"]),
    ({"run.results": "my results"}, ["run.results"]),
    ({"campaigns.a/b": {"design": "prior", "n": 1, "prior": "all"}}, ["campaigns.a/b"]),
    ({"nonsense": 1}, ["nonsense"]),
    ({"eeg.noise": {"clean": {"kind": "loud"}}}, ["eeg.noise.clean.kind"]),
    # connectomes
    (
        {"simulation": {"connectome": {"kind": "synthetic", "n_regions": 10**9}}, **NETWORK},
        ["simulation.connectome.n_regions"],
    ),
    (
        {"simulation": {"connectome": {"kind": "synthetic", "n_regions": 90_000}}, **NETWORK},
        ["simulation.connectome.n_regions"],
    ),
    (
        {"simulation": {"connectome": {"kind": "tvb-zip", "path": "absent.zip"}}, **NETWORK},
        ["simulation.connectome.path"],
    ),
    # several at once: none hides another
    (
        {
            "eeg.head": {"kind": "montage", "montage": "nonsense64"},
            "eeg.noise.measured": {"kind": "covariance", "path": "absent-cov.fif"},
            "inference.apply": {"model": "m", "evoked": "absent-ave.fif", "noise": "clean"},
            "simulation": {"sfreq": 700},
            "execution": {"n_workers": -1, "shard_size": 100, "chunk_size": 256},
            "campaigns.oat.n": 1.5,
            "inference.models.m.test": "train",
        },
        [
            "campaigns.oat.n", "eeg.head.montage", "eeg.noise.measured.path", "execution",
            "execution.n_workers", "inference.apply.evoked", "inference.models.m.test", "simulation",
        ],
    ),
    (
        {"campaigns.train.n": "x", "campaigns.test.preset": "as-published", "sensitivity.channel": "Q99"},
        ["campaigns.train.n", "sensitivity.channel"],
    ),
    (
        {"execution": {"shard_size": 100, "chunk_size": 256, "backend": "scheduler"}, "run.nam": 1},
        ["execution", "execution", "run.nam"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "keys"), CASES, ids=[str(list(case[0].items()))[:70] for case in CASES])
def test_errors_are_found_at_their_keys(changes: dict[str, Any], keys: list[str]) -> None:
    assert found(changed(changes)) == keys


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"simulation": {"protocol": {"kind": "evoked", "isi": 1000}}}, "simulation.protocol.isi"),
        ({"eeg.source": {"extent": 1000}}, "eeg.source.extent"),
        ({"eeg.source": {"extent": 0.01}}, "eeg.source.extent"),
        (prior(low=0.002, high=0.004), "priors.all.parameters.A_e"),
        ({"simulation": {"protocol": {"kind": "evoked", "transient": 800}}}, "simulation.protocol.transient"),
    ],
)
def test_a_value_in_another_unit_is_a_warning(changes: dict[str, Any], key: str) -> None:
    from jrflow.config.load import parse_config

    assert [dotted(fault.key) for fault in implausible(parse_config(changed(changes)))] == [key]
    assert not list(implausible(parse_config(changed({}))))


def test_a_file_in_the_way_of_results_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results").write_text("a file")
    assert found(changed({})) == ["run.results"]


def test_a_campaign_larger_than_the_disk_is_found_unless_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small disk: what the disk of this machine cannot hold, its memory may not hold either."""
    monkeypatch.chdir(tmp_path)
    free = 10**8
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    n = free // 1201
    large = changed({"campaigns.oat": {"design": "prior", "n": 2 * n, "prior": "all"}, "sensitivity": {}})
    assert found(large) == ["campaigns.oat.n"]
    Path("results/bad/archives").mkdir(parents=True)
    Path("results/bad/archives/oat.json").touch()
    assert parse_checked(large).campaigns["oat"].n == 2 * n


@pytest.mark.parametrize("name", ["standard_1020", "colin27_1020", "standard_1005", "spherical_1010"])
def test_montages_have_every_name_that_mne_gave_them(name: str) -> None:
    from jrflow.config.eeg import MontageHead
    from jrflow.config.electrodes import channel_count
    from jrflow.observe.channels import montage_info

    n = channel_count(MontageHead(montage=name))
    assert n == {"1020": 94, "1005": 343, "1010": 70}.get(name[-4:], n)
    assert len(montage_info(name).ch_names) == n


def test_channels_are_counted_and_not_read_from_a_name() -> None:
    from jrflow.config.eeg import MontageHead
    from jrflow.config.electrodes import channel_count

    counts = {
        name: channel_count(MontageHead(montage=name)) for name in ("easycap-M1", "GSN-HydroCel-65_1.0")
    }
    assert counts == {"easycap-M1": 74, "GSN-HydroCel-65_1.0": 65}


@pytest.mark.parametrize("tmin", [-0.5, -0.2, 0.0, 0.3])
def test_cost_and_checks_count_the_same_samples(tmin: float) -> None:
    from jrflow.config.learning_faults import samples_observed
    from jrflow.config.load import parse_config
    from jrflow.planning.learning_cost import n_samples

    config = parse_config(changed({"inference.training": {"tmin": tmin}}))
    expected = int(np.floor((1.0 - max(tmin, -0.201)) * 100 + 1e-6))
    assert n_samples(config) == samples_observed(config) == expected
