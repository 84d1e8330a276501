"""What each stage of the workflow reads of the configuration: the settings that its results depend on.

A rule of the workflow is repeated when these change, and only then. A test runs every stage and compares what
it reads with the declarations here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from jrflow.config.config import Config
from jrflow.config.fault import Key, dotted

_SEED: Key = ("run", "seed")
#: What the report shows: everything but how the work was carried out.
_REPORTED = ("run", "simulation", "priors", "campaigns", "eeg", "inference", "sensitivity", "limits")


def _training(*names: str) -> tuple[Key, ...]:
    return tuple(("inference", "training", name) for name in names)


def _limits(config: Config, model: str) -> tuple[Key, ...]:
    test = config.inference.models[model].test
    return (
        ("limits", "n_draws"),
        ("limits", "relative_step"),
        ("simulation",),
        ("inference", "models", model, "test"),
        ("campaigns", test, "prior"),
        ("campaigns", test, "preset"),
        ("priors", config.campaigns[test].prior),
        _SEED,
    )


#: Keys that a stage reads, for a model or campaign of the given name.
_READS: dict[str, Callable[[Config, str], tuple[Key, ...]]] = {
    "lead_field": lambda config, _: (("eeg", "head"), ("eeg", "source")),
    "noise_levels": lambda config, _: (
        ("eeg", "noise"),
        ("eeg", "processing"),
        *(("simulation", name) for name in ("protocol", "dt", "sfreq")),
    ),
    "gold": lambda config, _: (
        *_training("sfreq", "tmin", "spatial"),
        ("limits", "posterior_cases"),
        ("limits", "relative_step"),
        _SEED,
    ),
    "limits": _limits,
    "baselines": lambda config, _: (
        *_training("sfreq", "tmin", "spatial", "validation_fraction"),
        ("inference", "paper_baseline"),
        _SEED,
    ),
    "learning_curve": lambda config, _: (("inference", "learning_curve"), _SEED),
    "train": lambda config, _: (_SEED,),
    "apply": lambda config, _: (("inference", "apply"), _SEED),
    "sobol": lambda config, _: (("sensitivity", "channel"), ("sensitivity", "n_bootstrap"), _SEED),
    "one_at_a_time": lambda config, _: (("sensitivity", "channel"),),
    "report": lambda config, _: tuple((section,) for section in _REPORTED),
}


def stage_settings(config: Config, stage: str, name: str = "") -> str:
    """Settings that a stage depends on, as JSON with sorted keys.

    Parameters
    ----------
    config
        The run's configuration.
    stage
        Name of the workflow's rule.
    name
        Of the training, if the stage is one of several trainings' or models'.
    """
    dumped = config.model_dump(mode="json")
    settings = {dotted(key): _at(dumped, key) for key in _READS[stage](config, name)}
    training = _training_of(config, stage, name)
    if training:
        settings["training"] = config.inference.training_of(training).model_dump(mode="json")
        settings["network"] = config.inference.network_of(training).model_dump(mode="json")
        settings["shift"] = config.inference.trainings[training].shift
    return json.dumps(settings, sort_keys=True)


def _training_of(config: Config, stage: str, name: str) -> str:
    """Training whose own settings a stage reads; empty if there is none."""
    curve = config.inference.learning_curve
    if stage == "learning_curve":
        return curve.model if curve is not None else ""
    return name if stage == "train" else ""


def _at(data: Any, key: Key) -> Any:
    for step in key:
        data = data[step]
    return data
