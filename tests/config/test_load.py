"""Reading a configuration: every fault is reported at once, at its line, with a way out."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from jrflow.config.commented import commented_yaml
from jrflow.config.default import default_config
from jrflow.config.load import ConfigError, load_config, parse_config
from jrflow.planning.feasibility import load_checked

EXAMPLES = Path(__file__).parents[2] / "examples"

DEFAULT = commented_yaml(default_config())
MINIMAL = """\
priors:
  wide: {kind: relative-uniform}
campaigns:
  train: {design: prior, n: 100, prior: wide}
  test: {design: prior, n: 10, prior: wide}
eeg:
  noise:
    clean: {kind: snr, snr_db: 20}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str) -> list[str]:
    """Messages without the file's name: 'LINE: KEY: MESSAGE'."""
    path = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    first, *lines = str(caught.value).splitlines()
    assert first.startswith(f"{path}: {len(lines)} error")
    return [line.removeprefix(f"  {path}:") for line in lines]


def test_a_minimal_configuration_takes_the_defaults(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MINIMAL))
    assert config.priors["wide"].half_width == 0.5
    assert config.simulation.timing.n_epochs == 59
    assert config.folder == Path("results/demo")


def test_the_seed_zero_is_kept(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MINIMAL.replace("n: 100,", "n: 100, seed: 0,")))
    assert config.campaigns["train"].seed == 0
    assert config.campaigns["test"].seed is None


@pytest.mark.parametrize("number", ["1e-3", "1.0e-3", "0.001", "1E-3", "+1e-03"])
def test_numbers_in_scientific_notation_are_numbers(tmp_path: Path, number: str) -> None:
    config = load_config(written(tmp_path, MINIMAL + f"simulation: {{dt: {number}}}\n"))
    assert config.simulation.dt == 0.001


def test_all_faults_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
run: {nam: x}
priors:
  wide:
    kind: relative-uniform
    half_width: 1.5
    parameters: [A_e, bi]
campaigns:
  train: {design: priorr, n: 100, prior: wyde}
  train: {design: prior, n: 100, prior: wyde}
eeg:
  noise:
    paper:
      kind: ad-hoc
      fctor: 1
inference:
  models:
    m: {train: train, test: tset}
sensitivity:
  sobol: [train]
"""
    assert faults(tmp_path, text) == [
        "1: run.nam: unknown key; did you mean 'name'?",
        "5: priors.wide.half_width: expected a number less than 1, received 1.5",
        "6: priors.wide.parameters[1]: unknown parameter 'bi'; did you mean 'b_i'?",
        "9: campaigns.train: given twice, first at line 8; keep one of them",
        "9: campaigns.train.prior: unknown entry 'wyde' of priors; did you mean 'wide'?",
        "12: eeg.noise.paper.factor: missing; expected: Factor of the variance, like noise_fact in the "
        "paper's code (dimensionless). The noise is that of the raw recording, before any filter of "
        "eeg.processing",
        "14: eeg.noise.paper.fctor: unknown key; did you mean 'factor'?",
        "17: inference.models.m.test: unknown entry 'tset' of campaigns; known are train",
        "19: sensitivity.sobol[0]: expected a campaign of design saltelli, but campaigns.train.design is "
        "'prior'",
    ]


FAULTS = {
    "priors.wide.kind: expected one of independent, published-range, relative-uniform, received "
    "'relative-unifrom'; did you mean 'relative-uniform'?": (
        "kind: relative-uniform",
        "kind: relative-unifrom",
    ),
    "priors.wide.kind: missing; expected one of independent, published-range, relative-uniform": (
        "{kind: relative-uniform}",
        "{half_width: 0.5}",
    ),
    "priors.wide: expected a mapping (key: value), received 3": ("{kind: relative-uniform}", "3"),
    "priors.wide.low: unknown key; known are kind, half_width, parameters, regions": (
        "relative-uniform}",
        "relative-uniform, low: 1}",
    ),
    "campaigns.train.n: expected a number greater than or equal to 1, received 0": ("n: 100", "n: 0"),
    "campaigns.train.n: expected a valid integer, received 1.5": ("n: 100", "n: 1.5"),
    "campaigns.train.n: expected a number, received true (YAML reads yes/no/on/off as true/false)": (
        "n: 100",
        "n: yes",
    ),
    "campaigns.train.n: expected a valid integer, received nothing (null)": ("n: 100", "n:"),
    "campaigns.train.design: expected one of prior, lhs, sobol-sequence, saltelli, one-at-a-time, received "
    "'salteli'; did you mean 'saltelli'?": ("design: prior, n: 100", "design: salteli, n: 100"),
    "campaigns.train: a saltelli design is balanced only at powers of two: expected n = 64 or 128, "
    "received 100": ("design: prior, n: 100", "design: saltelli, n: 100"),
    "campaigns.a/b: expected letters, digits and _.- only, the first a letter or digit, since file names "
    "are made of it; received 'a/b'": ("train:", "a/b:"),
    "eeg.noise.clean.snr_db: expected a finite number, received nan": ("snr_db: 20", "snr_db: .nan"),
    "eeg.nois: unknown key; did you mean 'noise'?": (
        "  noise:",
        "  noise: {a: {kind: snr, snr_db: 1}}\n  nois:",
    ),
    "simulation: the sampling interval 1/sfreq (0.00142857 s) must be a whole multiple of dt (0.001 s), "
    "but it is 1.42857 times that; change one of them": ("eeg:", "simulation: {sfreq: 700}\neeg:"),
    "simulation.protocol.n_trails: unknown key; did you mean 'n_trials'?": (
        "eeg:",
        "simulation: {protocol: {kind: evoked, n_trails: 3}}\neeg:",
    ),
    "simulation.protocol.stim_duration: expected a number greater than or equal to 0, received -1": (
        "eeg:",
        "simulation: {protocol: {kind: evoked, stim_duration: -1}}\neeg:",
    ),
    "eeg.source.position[2]: missing; expected: Centre, mm, MNI coordinates (fsaverage); the default lies in "
    "the left caudal middle frontal gyrus": ("  noise:", "  source: {position: [1, 2]}\n  noise:"),
    "execution: shard_size (100) must be a multiple of chunk_size (256), for instance 256": (
        "eeg:",
        "execution: {shard_size: 100, chunk_size: 256}\neeg:",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_one_clear_line(tmp_path: Path, fault: str) -> None:
    right, wrong = FAULTS[fault]
    assert MINIMAL.count(right) == 1
    (reported,) = faults(tmp_path, MINIMAL.replace(right, wrong))
    assert re.fullmatch(r"\d+: " + re.escape(fault), reported)


def field_lines() -> list[int]:
    """Lines of the default configuration on which a field of a section stands alone."""
    config = default_config()
    entries = {*config.priors, *config.campaigns, *config.eeg.noise, *config.inference.models, "kind"}
    lines = enumerate(DEFAULT.splitlines())
    return [n for n, line in lines if (found := re.match(r" *(\w[\w-]*):", line)) and found[1] not in entries]


@pytest.mark.parametrize("line", field_lines())
def test_a_slip_in_any_key_is_found_at_its_line_with_the_right_word(tmp_path: Path, line: int) -> None:
    lines = DEFAULT.splitlines()
    key = lines[line].split(":")[0].strip()
    slip = key[:-1] + "_" if len(key) > 3 else key + "_"
    lines[line] = lines[line].replace(f"{key}:", f"{slip}:", 1)
    reported = faults(tmp_path, "\n".join(lines))
    assert any(
        fault.startswith(f"{line + 1}: ") and fault.endswith(f"{slip}: unknown key; did you mean {key!r}?")
        for fault in reported
    )


UNREADABLE = {
    "": "the file is empty",
    "# nothing but a comment\n": "the file is empty",
    "- a\n- b\n": "expected sections (key: value), received a list",
    "a:\n\tb: 1\n": "2: not valid YAML",
    "a: [1, 2\n": "not valid YAML",
    "a: 1\n---\nb: 2\n": "expected a single document",
    "a: &a {b: *a}\n": "an alias contains itself",
    "? [a, b]\n: 1\n": "expected a name as key",
}


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_configuration_is_said_plainly(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text))
    assert UNREADABLE[text] in str(caught.value)


def test_tabs_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="indent with spaces, not with tabs"):
        load_config(written(tmp_path, "a:\n\tb: 1\n"))


def test_a_missing_file_and_a_folder_and_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such file"):
        load_config(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"run: \xff")
    with pytest.raises(ConfigError, match="expected text in UTF-8, but byte 5"):
        load_config(tmp_path / "bytes.yaml")


def test_anchors_and_merged_keys_may_be_used(tmp_path: Path) -> None:
    text = MINIMAL.replace("train: {", "train: &large {").replace(
        "test: {design: prior, n: 10, prior: wide}", "test: &small {<<: *large, n: 10}\n  more: *small"
    )
    config = load_config(written(tmp_path, text))
    assert config.campaigns["test"] == config.campaigns["more"]
    assert config.campaigns["test"].n == 10


def test_names_that_yaml_reads_as_something_else_stay_names(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MINIMAL.replace("clean:", "no:")))
    assert list(config.eeg.noise) == ["no"]


def test_plain_mappings_are_checked_too() -> None:
    with pytest.raises(ConfigError, match=r"configuration: run\.nam: unknown key"):
        parse_config(yaml.safe_load(MINIMAL) | {"run": {"nam": "x"}})


def test_all_missing_files_are_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there-cov.fif").touch()
    text = MINIMAL.replace("  noise:\n", "  head: {kind: recording, path: a-ave.fif}\n  noise:\n") + (
        "    measured: {kind: covariance, path: b-cov.fif}\n"
        "    there: {kind: covariance, path: there-cov.fif}\n"
        "inference:\n"
        "  training: {batch_size: 50, validation_fraction: 0.2}\n"
        "  models: {m: {train: train, test: test}}\n"
        "  apply: {model: m, evoked: c-ave.fif, noise: measured}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_checked(written(tmp_path, text))
    assert [fault.key for fault in caught.value.faults] == [
        ("eeg", "head", "path"),
        ("eeg", "noise", "measured", "path"),
        ("inference", "apply", "evoked"),
    ]
    assert f"no such file: 'b-cov.fif' (relative to {tmp_path})" in str(caught.value)


def test_a_second_network_of_a_kind_survives_being_written() -> None:
    """What is explained where it appears first is left out later, but for the kind."""
    networks = {"small": {"kind": "bilstm", "hidden": 8}, "large": {"kind": "bilstm", "hidden": 128}}
    inference = {
        "networks": networks,
        "models": {"m": {"train": "train", "test": "test", "network": "large"}},
    }
    text = MINIMAL.replace("n: 100", "n: 1000")
    config = parse_config(yaml.safe_load(text) | {"inference": inference})
    again = parse_config(yaml.safe_load(commented_yaml(config)))
    assert again == config


@pytest.mark.parametrize(
    "distribution",
    [
        {"low": 2.0, "high": 4.0},
        {"low": 2.0, "high": 4.0, "mean": 3.0, "sd": 0.5},
        {"kind": "log-normal", "median": 3.0, "log_sd": 0.2},
        {"kind": "published-range"},
    ],
)
def test_every_kind_of_distribution_survives_being_written(distribution: dict[str, Any]) -> None:
    prior = {"kind": "independent", "parameters": {"A_e": distribution, "A_i": {"low": 20, "high": 24}}}
    config = parse_config(yaml.safe_load(MINIMAL) | {"priors": {"wide": prior}})
    assert parse_config(yaml.safe_load(commented_yaml(config))) == config


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_survives_being_written(example: Path) -> None:
    config = parse_config(yaml.safe_load(example.read_text(encoding="utf-8")))
    assert parse_config(yaml.safe_load(commented_yaml(config))) == config


@pytest.mark.parametrize("number", [1, 9])
def test_exact_posteriors_of_a_few_cases_are_refused(number: int) -> None:
    with pytest.raises(ConfigError, match="expected 0, for none, or 10 or more"):
        parse_config(yaml.safe_load(MINIMAL) | {"limits": {"posterior_cases": number}})
