"""What stages are declared to read of the configuration is what they do read: no less, and no more."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from jrflow.campaign import run_campaign
from jrflow.config import load
from jrflow.config.config import Config
from jrflow.config.section import Section
from jrflow.planning.stages import stage_settings

ROOT = Path(__file__).parents[2]
CONFIG = """\
run: {name: micro}
simulation: {protocol: {kind: evoked, n_trials: 3}}
priors: {all: {kind: relative-uniform}}
campaigns:
  train: {design: prior, n: 240, prior: all}
  test: {design: prior, n: 20, prior: all}
  sobol: {design: saltelli, n: 16, prior: all}
  oat: {design: one-at-a-time, n: 3, prior: all}
eeg: {noise: {clean: {kind: snr, snr_db: 20}, paper: {kind: ad-hoc, factor: 1}}}
inference:
  networks: {bilstm: {kind: bilstm, hidden: 4}}
  models: {m: {train: train, test: test}}
  training: {batch_size: 40, max_presentations: 240}
  learning_curve: {model: m, sizes: [40, 80], presentations: 80, more_epochs: 2}
sensitivity: {sobol: [sobol], one_at_a_time: [oat], n_bootstrap: 10}
limits: {n_draws: 2, posterior_cases: 10}
"""

Read = tuple[str, str]


class Reads:
    """Class and name of every field of a configuration that is read while it watches, but for sections.

    Sections that come from elsewhere, such as the settings within an archive, do not count.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: set[Read] = set()
        self._watching = False
        self._ours: dict[int, Section] = {}
        usual, copy, parse = Section.__getattribute__, Section.model_copy, load.parse_config

        def read(section: Section, name: str) -> Any:
            value = usual(section, name)
            ours = self._watching and id(section) in self._ours
            if ours and name == "__dict__":
                self.found |= leaves(section)
            elif ours and name in type(section).model_fields and not holds_sections(value):
                self.found.add((type(section).__name__, name))
            return value

        monkeypatch.setattr(Section, "__getattribute__", read)
        # Copying is not reading; writing down is.
        monkeypatch.setattr(Section, "model_copy", self._unwatched(copy))
        monkeypatch.setattr(load, "parse_config", self._unwatched(parse))
        for name in ("model_dump", "model_dump_json"):
            monkeypatch.setattr(Section, name, self._dumped(getattr(Section, name)))

    @contextmanager
    def of(self) -> Iterator[set[Read]]:
        """Watch what is done within."""
        self.found, self._watching = set(), True
        try:
            yield self.found
        finally:
            self._watching = False

    def _unwatched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            before, self._watching = self._watching, False
            try:
                made = function(*arguments, **options)
                if isinstance(made, Config) or any(id(one) in self._ours for one in arguments):
                    self._own(made)
                return made
            finally:
                self._watching = before

        return call

    def _own(self, value: Any) -> None:
        if isinstance(value, Section):
            self._ours[id(value)] = value
            self._own(object.__getattribute__(value, "__dict__"))
        elif isinstance(value, dict):
            for one in value.values():
                self._own(one)

    def _dumped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(section: Section, *arguments: Any, **options: Any) -> Any:
            if self._watching and id(section) in self._ours:
                self.found |= leaves(section)
            return self._unwatched(function)(section, *arguments, **options)

        return call


def holds_sections(value: Any) -> bool:
    return isinstance(value, Section) or (
        isinstance(value, dict) and any(isinstance(entry, Section) for entry in value.values())
    )


def leaves(value: Any) -> set[Read]:
    """Class and name of all fields of a section, and of those within."""
    if isinstance(value, dict):
        return set().union(*map(leaves, value.values()))
    if not isinstance(value, Section):
        return set()
    fields = object.__getattribute__(value, "__dict__")
    own = {(type(value).__name__, name) for name, one in fields.items() if not holds_sections(one)}
    return own.union(*map(leaves, fields.values()))


def declared(config: Config, stage: str, name: str) -> set[Read]:
    """The same, of the settings that a stage is declared to read."""
    import json

    found: set[Read] = set()
    for dotted in json.loads(stage_settings(config, stage, name)):
        if dotted in ("training", "network", "shift"):
            part = {"training": config.inference.training_of, "network": config.inference.network_of}.get(
                dotted
            )
            found |= leaves(part("m")) if part else set()
            continue
        value: Any = config
        for step in dotted.split("."):
            holder, value = value, value[step] if isinstance(value, dict) else getattr(value, step)
        within = holds_sections(value) or value == {}
        found |= leaves(value) if within else {(type(holder).__name__, step)}
    return found


def script(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[Read]]:
    """What every stage has read, each run for real on a few simulations."""
    from jrflow.inference.jobs import learning_curve_job, train_job
    from jrflow.sensitivity.parts import join_parts, parts_of

    folder = tmp_path_factory.mktemp("stages")
    config_file = folder / "config.yaml"
    config_file.write_text(CONFIG)
    config = load.load_config(config_file)
    for name in config.campaigns:
        run_campaign(config, name, folder, progress=None)
    lead_field, noise = folder / "lead_field.nc", folder / "noise.nc"
    train, test = folder / "train.json", folder / "test.json"
    common: dict[str, list[Any]] = {
        "lead_field": ["--out", lead_field],
        "noise_levels": ["--lead-field", lead_field, "--train", train, "--out", noise],
        "gold": ["--noise", noise, "--test", test, "--out", folder / "gold.nc"],
        "limits": ["--model", "m", "--noise", noise, "--out", folder / "limits.nc"],
        "baselines": [
            *("--noise", noise, "--train", train, "--test", test),
            *("--limits", folder / "limits.nc", "--scores", folder / "baselines.csv"),
        ],
        "one_at_a_time": [
            *("--lead-field", lead_field, "--campaign", folder / "oat.json", "--out", folder / "oat.nc")
        ],
    }
    found: dict[str, set[Read]] = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        watch = Reads(monkeypatch)
        for stage, arguments in common.items():
            module = script(stage)
            if stage == "gold":
                # An hour of sampling, and it is given numbers only: what is read is read before.
                monkeypatch.setattr(module, "gold_standard", lambda *_, **__: _Stored())
            with watch.of() as one:
                assert module.main(["--config", str(config_file), *map(str, arguments)]) == 0
            found[stage] = one
        sobol = config_file, lead_field, folder / "sobol.json"
        with watch.of() as one:
            train_job(config_file, noise, train, 1, folder / "m", None)
        found["train"] = one
        with watch.of() as one:
            learning_curve_job(config_file, noise, train, test, 1, folder / "curve.csv")
        found["learning_curve"] = one
        parts = tuple(parts_of(*sobol, 1))
        with watch.of() as one:
            join_parts(*sobol, parts, folder / "sobol.nc")
        found["sobol"] = one
    return found


class _Stored:
    def to_netcdf(self, *_: object, **__: object) -> None:
        """Write nothing."""


STAGES = {
    "lead_field", "noise_levels", "gold", "limits", "baselines", "one_at_a_time", "train", "learning_curve",
    "sobol",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_reads_what_is_declared_and_no_more(stage: str, reads: dict[str, set[Read]]) -> None:
    config = load.parse_config(yaml.safe_load(CONFIG))
    # Kinds decide what the other fields mean. A training's own settings are declared as they are resolved.
    resolved = {"ModelConfig"} if stage in ("train", "learning_curve") else set()
    found, expected = (
        {read for read in some if read[1] != "kind" and read[0] not in resolved}
        for some in (reads[stage], declared(config, stage, "m"))
    )
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("stage", ["gold", "baselines"])
@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("inference.training", "patience", 3),
        ("inference.training", "batch_size", 30),
        ("inference.training", "max_presentations", 480),
        ("limits", "n_draws", 5),
    ],
)
def test_the_training_s_own_settings_repeat_no_reference(
    stage: str, section: str, name: str, value: int
) -> None:
    data = yaml.safe_load(CONFIG)
    before = stage_settings(load.parse_config(data), stage)
    place = data
    for step in section.split("."):
        place = place[step]
    place[name] = value
    assert stage_settings(load.parse_config(data), stage) == before


def test_every_rule_has_its_settings() -> None:
    rules = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    for stage in {*STAGES, "apply", "report"}:
        assert f'settings("{stage}"' in rules
        assert f'code("{stage}")' in rules
    assert "input.script" not in rules
    assert "conda:" not in rules
