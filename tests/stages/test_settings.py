"""A stage is handed exactly the settings that its work reads: it has no others, and it reads all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from jrflow.campaign import run_campaign
from jrflow.config import load
from jrflow.config.config import Config
from jrflow.config.section import Section
from jrflow.stages import STAGES
from jrflow.stages.command import main
from jrflow.stages.stage import Settings
from jrflow.stages.submitted import SubmittedStage

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
  apply: {model: m, evoked: recording-ave.fif, noise: clean}
sensitivity: {sobol: [sobol], one_at_a_time: [oat], n_bootstrap: 10}
limits: {n_draws: 2, posterior_cases: 10}
"""
#: Training or campaign of a stage whose rule has such a wildcard.
NAMES = {"sobol": "sobol", "one_at_a_time": "oat", "lead_field": "", "report": "", "learning_curve": ""}

Read = tuple[str, str]


class Reads:
    """Class and name of every field of a stage's settings that is read while it watches, but for sections.

    Sections that come from elsewhere, such as the settings within an archive, do not count.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: set[Read] = set()
        self._watching = False
        self._ours: dict[int, Section] = {}
        usual, copy = Section.__getattribute__, Section.model_copy

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
        for name in ("model_dump", "model_dump_json"):
            monkeypatch.setattr(Section, name, self._dumped(getattr(Section, name)))

    @contextmanager
    def of(self, settings: Settings) -> Iterator[set[Read]]:
        """Watch what is read of these settings within."""
        self._ours = {}
        self._own(settings)
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
                if any(id(one) in self._ours for one in arguments):
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


class _Stored:
    def to_netcdf(self, *_: object, **__: object) -> None:
        """Write nothing."""


class _Table:
    def to_csv(self, *_: object, **__: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[set[Read], set[Read]]]:
    """What every stage has read and was handed, each run for real, without a configuration."""
    import jrflow.inference.scoring.evaluate as scoring
    import jrflow.inference.scoring.reference as reference

    folder = tmp_path_factory.mktemp("stages")
    config = load.parse_config(yaml.safe_load(CONFIG))
    for name in config.campaigns:
        run_campaign(config, name, folder, progress=None)
    files = {
        "lead_field": folder / "lead_field.nc", "noise": folder / "noise.nc", "limits": folder / "limits.nc",
        "train": folder / "train.json", "test": folder / "test.json", "model": folder / "m/model.json",
        "reference": folder / "reference.nc",
    }  # fmt: skip

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a stage reads a configuration")

    found: dict[str, tuple[set[Read], set[Read]]] = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        settings = {name: STAGES[name].settings(config, NAMES.get(name, "m")) for name in RUN}
        for name in ("load_config", "parse_config", "examine_connectome"):
            monkeypatch.setattr(load, name, refuse)
        monkeypatch.setattr(Config, "model_validate", refuse)
        # An hour of sampling, and it is given numbers only: what is read is read before.
        monkeypatch.setattr(reference, "reference_posteriors", lambda *_, **__: _Stored())
        monkeypatch.setattr(scoring, "evaluate_model", lambda *_, **__: (_Table(), _Stored()))
        watch = Reads(monkeypatch)
        for name in RUN:
            stage = STAGES[name]
            campaign = {"campaign": folder / f"{NAMES.get(name, '')}.json"}
            inputs = {one: (files | campaign)[one] for one in stage.inputs if one != "reference"}
            outputs = {one: files.get(one, folder / f"{name}-{one}.nc") for one in stage.outputs}
            handed = leaves(settings[name])
            with watch.of(settings[name]) as read:
                stage.run(settings[name], inputs, outputs)
            found[name] = read, handed
    return found


#: In the order in which they need one another. Left out: the report, which reads the run's folder, and the
#: stage that needs a recording.
RUN = (
    "lead_field", "noise_levels", "reference", "limits", "train", "evaluate", "baselines", "learning_curve",
    "sobol", "one_at_a_time",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("stage", RUN)
def test_a_stage_reads_all_that_it_is_handed(
    stage: str, reads: dict[str, tuple[set[Read], set[Read]]]
) -> None:
    # Kinds decide what the other fields mean, and the names of what is trained stand in files only.
    read, handed = ({one for one in some if one[1] != "kind"} for some in reads[stage])
    assert sorted(handed - read) == sorted(UNREAD.get(stage, set()))


#: A section that a stage is handed whole, though it needs all fields but these.
UNREAD: dict[str, set[Read]] = {"learning_curve": {("LearningCurveConfig", "model")}}


def changed(path: str, value: Any) -> Config:
    """The configuration with another value at a place."""
    data = yaml.safe_load(CONFIG)
    place = data
    *sections, name = path.split(".")
    for step in sections:
        place = place.setdefault(step, {})
    place[name] = value
    return load.parse_config(data)


@pytest.mark.parametrize(
    "stage", ["reference", "limits", "noise_levels", "baselines", "lead_field", "evaluate"]
)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("inference.training.patience", 3),
        ("inference.training.batch_size", 30),
        ("inference.training.max_presentations", 480),
        ("inference.networks.bilstm.hidden", 8),
        ("sensitivity.n_bootstrap", 20),
        ("execution.n_workers", 2),
    ],
)
def test_how_a_network_is_trained_repeats_no_reference(stage: str, path: str, value: int) -> None:
    before = STAGES[stage].settings(changed("run.name", "micro"), "m").text
    assert STAGES[stage].settings(changed(path, value), "m").text == before


@pytest.mark.parametrize(
    ("stage", "path", "value"),
    [
        ("train", "inference.training.patience", 3),
        ("learning_curve", "inference.training.patience", 3),
        ("reference", "limits.posterior_cases", 12),
        ("limits", "limits.n_draws", 5),
        ("noise_levels", "simulation.sfreq", 500.0),
        ("report", "limits.n_draws", 5),
        ("sobol", "run.seed", 1),
        ("evaluate", "inference.models.m.refine", 3),
        ("apply", "inference.apply.exact", True),
    ],
)
def test_what_a_stage_depends_on_repeats_it(stage: str, path: str, value: Any) -> None:
    name = NAMES.get(stage, "m")
    before = STAGES[stage].settings(changed("run.name", "micro"), name).text
    assert STAGES[stage].settings(changed(path, value), name).text != before


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_settings_are_what_their_text_says(stage: str) -> None:
    """For the configuration above and those that the project comes with."""
    for path in (None, ROOT / "config.yaml", ROOT / "tests/tiny.yaml"):
        config = load.parse_config(yaml.safe_load(CONFIG)) if path is None else load.load_config(path)
        name = NAMES.get(stage, next(iter(config.inference.trainings)))
        if stage in ("apply", "learning_curve") and getattr(config.inference, stage) is None:
            continue
        settings = STAGES[stage].settings(config, name)
        assert STAGES[stage].read_settings(settings.text) == settings
        assert json.dumps(json.loads(settings.text), sort_keys=True) == settings.text


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_rule_takes_all_from_its_stage(stage: str) -> None:
    rules = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rule = rules.split(f"rule {stage}:")[1].split("\nrule ")[0]
    assert f'command("{stage}")' in rule
    assert f'settings("{stage}"' in rule
    assert f'code("{stage}")' in rule
    submitted = isinstance(STAGES[stage], SubmittedStage)
    for resource in ("expected_seconds", "expected_bytes") if submitted else ("minutes", "mb"):
        assert f'{resource}("{stage}"' in rule
    assert "CONFIG_FILE" not in rule
    assert "conda:" not in rule


def test_importing_the_stages_loads_nothing_heavy() -> None:
    """Snakemake imports them whenever it reads its rules."""
    code = "import sys, jrflow.stages; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "jrflow.stages.reference" in loaded.split()
    heavy = {"torch", "numba", "sbi", "sklearn", "xarray", "pandas", "mne", "submitit", "distributed", "zarr"}
    assert not heavy & set(loaded.split())


def test_a_command_hands_settings_and_files_to_its_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input that is not asked for is absent."""
    stage, called = STAGES["limits"], []
    monkeypatch.setattr(type(stage), "run", lambda _, *arguments: called.append(arguments))
    settings = stage.settings(load.parse_config(yaml.safe_load(CONFIG)), "m")
    noise, out = tmp_path / "a b=c.nc", tmp_path / "limits.nc"
    arguments = ["--settings", settings.text, "--threads", "3", "--inputs", f"noise={noise}", "reference="]
    assert main("limits", [*arguments, "--outputs", f"limits={out}"]) == 0
    assert called == [(settings, {"noise": noise}, {"limits": out}, 3)]
