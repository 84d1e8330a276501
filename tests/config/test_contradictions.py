"""Settings that are each possible but not together, and references to what is not there."""

from typing import Any

import pytest
import yaml

from jrflow.config.learning_faults import samples_observed
from jrflow.config.load import ConfigError, parse_config
from jrflow.observe.window import Window

BASE = """\
priors:
  all: {kind: relative-uniform}
  gains: {kind: relative-uniform, parameters: [A_e, A_i]}
campaigns:
  train: {design: lhs, n: 1000, prior: all}
  test: {design: prior, n: 10, prior: all}
  oat: {design: one-at-a-time, n: 10, prior: all}
eeg: {noise: {clean: {kind: snr, snr_db: 20}}}
inference:
  networks: {bilstm: {kind: bilstm}, mlp: {kind: mlp}}
  models: {m: {train: train, test: test}}
  learning_curve: {model: m, sizes: [300, 900]}
sensitivity: {one_at_a_time: [oat]}
"""


def changed(key: str, value: Any) -> dict[str, Any]:
    """Return the configuration above with one value replaced."""
    data = yaml.safe_load(BASE)
    *sections, last = key.split(".")
    place = data
    for section in sections:
        place = place.setdefault(section, {})
    place[last] = value
    return data


def test_the_configuration_itself_holds() -> None:
    assert parse_config(yaml.safe_load(BASE)).n_simulations("oat") == 90


CASES = [
    ("campaigns.test.prior", "alle", "campaigns.test.prior", "unknown entry 'alle' of priors"),
    ("campaigns.test.prior", "gains", "inference.models.m.test", "varies A_e, A_i, but 'train'"),
    ("campaigns.test.preset", "as-published", "inference.models.m.test", "has preset 'as-published'"),
    ("inference.models.m.test", "train", "inference.models.m.test", "is also the training campaign"),
    ("inference.models.m.test", "oat", "inference.models.m.test", "expected a campaign of design prior"),
    ("inference.learning_curve.model", "n", "inference.learning_curve.model", "unknown entry 'n'"),
    ("inference.learning_curve.sizes", [300, 901], "inference.learning_curve.sizes", "at most 900"),
    ("inference.learning_curve.sizes", [10, 900], "inference.learning_curve.sizes", "at least one batch"),
    (
        "inference.training",
        {"validation_fraction": 0.01},
        "inference.models.m.train",
        "leaves 10 simulations for validation",
    ),
    (
        "inference.models.twin",
        {"train": "train", "test": "test"},
        "inference.models.twin",
        "model 'm' also has network 'bilstm' and preset 'unit-consistent'",
    ),
    (
        "inference.models",
        {
            "m": {"train": "train", "test": "test", "seeds": 2},
            "m-seed-1": {"train": "train", "test": "test", "network": "mlp"},
        },
        "inference.models.m-seed-1",
        "reserved for training 2 of model 'm'",
    ),
    ("inference.models.m.network", "bilstn", "inference.models.m.network", "did you mean 'bilstm'?"),
    (
        "inference.networks.t",
        {"kind": "transformer", "width": 30},
        "inference.networks.t",
        "a multiple of heads, received 30 and 4",
    ),
    (
        "inference.learning_curve.sizes",
        [300, 300],
        "inference.learning_curve.sizes",
        "sizes in increasing order",
    ),
    ("inference.training", {"sfreq": 300}, "inference.training.sfreq", "received 300 Hz"),
    ("inference.training", {"tmin": 0.995}, "inference.training.tmin", "by one sample of training.sfreq"),
    (
        "inference.networks.bilstm.samples_per_step",
        101,
        "inference.networks.bilstm.samples_per_step",
        "expected at most 100, the number of samples",
    ),
    (
        "inference.networks.bilstm",
        {"kind": "npe", "samples_per_step": 101},
        "inference.networks.bilstm.samples_per_step",
        "received 101; choose fewer, or a higher training.sfreq",
    ),
    ("inference.training", {"sfreq": 10}, "inference.networks.bilstm.samples_per_step", "at most 10, the"),
    (
        "inference.networks.bilstm",
        {"kind": "cnn_bilstm", "kernel": 6},
        "inference.networks.bilstm",
        "expected an odd kernel, since filters are centred on a point, received 6; give 5 or 7",
    ),
    (
        "inference.networks.bilstm",
        {"kind": "cnn_bilstm", "stride": 8},
        "inference.networks.bilstm",
        "stride (8) is larger than kernel (7)",
    ),
    (
        "inference.networks.bilstm",
        {"kind": "cnn_bilstm", "samples_per_step": 25},
        "inference.networks.bilstm.stride",
        "expected fewer than the 4 points of the series (100 samples, 25 a point)",
    ),
    (
        "inference.apply",
        {"model": "m", "evoked": "x", "noise": "claen"},
        "inference.apply.noise",
        "unknown entry 'claen' of eeg.noise; did you mean 'clean'?",
    ),
    ("sensitivity.one_at_a_time", ["train"], "sensitivity.one_at_a_time[0]", "of design one-at-a-time"),
    ("sensitivity.sobol", ["oat"], "sensitivity.sobol[0]", "is 'one-at-a-time'"),
]


@pytest.mark.parametrize(("key", "value", "place", "message"), CASES)
def test_a_contradiction_names_its_key(key: str, value: Any, place: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changed(key, value))
    (fault,) = caught.value.faults
    assert str(fault).startswith(f"{place}: ")
    assert message in str(fault)


def test_a_network_that_no_model_uses_may_be_anything() -> None:
    parse_config(changed("inference.networks.spare", {"kind": "bilstm", "samples_per_step": 1000}))


@pytest.mark.parametrize(("sfreq", "tmin"), [(100, 0.0), (250, -0.2), (50, 0.013), (1000, 0.5), (100, -0.05)])
def test_samples_are_counted_as_the_archive_is_averaged(sfreq: float, tmin: float) -> None:
    config = parse_config(changed("inference.training", {"sfreq": sfreq, "tmin": tmin}))
    assert samples_observed(config) == Window.of(config.simulation.timing.times, sfreq, tmin).n_blocks


def test_a_models_own_batch_is_the_one_that_counts() -> None:
    with pytest.raises(ConfigError, match=r"900 simulations .* fewer than one batch \(its batch_size is 901"):
        parse_config(changed("inference.models.m.batch_size", 901))
    with pytest.raises(ConfigError, match=r"the model's batch_size is 301\), received 300"):
        parse_config(changed("inference.models.m.batch_size", 301))
    content = changed("inference.training", {"batch_size": 901})
    content["inference"]["models"]["m"]["batch_size"] = 300
    assert parse_config(content).inference.training_of("m").batch_size == 300


def test_a_campaign_smaller_than_a_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match="900 simulations to train on, fewer than one batch"):
        parse_config(changed("inference.training", {"batch_size": 901}))


def test_rest_excludes_whatever_needs_an_evoked_response() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changed("simulation", {"protocol": {"kind": "rest"}}))
    assert [fault.key for fault in caught.value.faults] == [
        ("inference", "models"),
        ("sensitivity", "one_at_a_time"),
    ]


def test_rest_alone_may_be_simulated() -> None:
    data = changed("simulation", {"protocol": {"kind": "rest"}})
    del data["inference"], data["sensitivity"]
    assert parse_config(data).simulation.timing.n_epochs == 1


@pytest.mark.parametrize(
    ("distribution", "message"),
    [
        ({"low": 5, "high": 3}, "low (5) must be below high (3)"),
        ({"low": -1, "high": 3}, "expected finite values above 0 mV, received -1"),
        ({"low": 1, "high": 3, "mean": 2}, "both mean and sd"),
        ({"low": 1, "high": 3, "mean": 4, "sd": 1}, "mean (4) lies outside"),
    ],
)
def test_an_impossible_prior_is_refused(distribution: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changed("priors.all", {"kind": "independent", "parameters": {"A_e": distribution}}))
    assert caught.value.faults[0].key[:4] == ("priors", "all", "parameters", "A_e")
    assert message in str(caught.value)


def test_a_parameter_without_a_published_range_cannot_have_that_prior() -> None:
    with pytest.raises(ConfigError, match="'v_max' has no published range; use kind: independent"):
        parse_config(changed("priors.all", {"kind": "published-range", "parameters": ["v_max"]}))


def test_a_parameter_may_be_listed_once_only() -> None:
    with pytest.raises(ConfigError, match="expected each parameter once, received A_e, A_e"):
        parse_config(changed("priors.all", {"kind": "relative-uniform", "parameters": ["A_e", "A_e"]}))
