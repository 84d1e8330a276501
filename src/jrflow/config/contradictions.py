"""Settings that are possible alone, but not together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jrflow.config.analysis import FEWEST_GROUPS
from jrflow.config.fault import Fault, Key
from jrflow.config.learning_faults import learning_faults
from jrflow.config.network import network_faults
from jrflow.config.prior_faults import prior_faults
from jrflow.config.processing_faults import processing_faults
from jrflow.model.protocol import EvokedProtocol

if TYPE_CHECKING:
    from jrflow.config.config import Config
    from jrflow.config.inference import ModelConfig

#: Fewest simulations from which 90 % intervals are calibrated.
MIN_VALIDATION = 20


def contradictions(config: Config) -> Iterator[Fault]:
    """Find settings of different sections that exclude one another.

    Each fault names in ``about`` all the settings that it is about.

    Parameters
    ----------
    config
        With references that all hold.
    """
    for name, model in config.inference.models.items():
        yield from _model(config, name, model)
        yield from _enough(config, name, model)
    yield from _distinct_scores(config)
    yield from _learning_curve(config)
    yield from learning_faults(config)
    yield from _sobol(config)
    yield from _rest(config)
    yield from _noise(config)
    yield from processing_faults(config)
    yield from prior_faults(config)
    yield from network_faults(config)


def _model(config: Config, name: str, model: ModelConfig) -> Iterator[Fault]:
    key: Key = ("inference", "models", name, "test")
    if model.train == model.test:
        yield Fault(key, f"{model.test!r} is also the training campaign; test on other simulations")
        return
    train, test = config.campaigns[model.train], config.campaigns[model.test]
    campaigns: tuple[Key, ...] = (key, ("campaigns", model.train), ("campaigns", model.test))
    if train.preset != test.preset:
        yield Fault(
            key,
            f"campaign {model.test!r} has preset {test.preset!r}, but {model.train!r}, on which the model "
            f"is trained, has {train.preset!r}; give both the same",
            campaigns,
        )
    learnt, tested = set(config.priors[train.prior].parameters), set(config.priors[test.prior].parameters)
    if learnt != tested:
        yield Fault(
            key,
            f"campaign {model.test!r} varies {', '.join(sorted(tested))}, but {model.train!r}, on which "
            f"the model is trained, varies {', '.join(sorted(learnt))}; let both vary the same parameters",
            (*campaigns, ("priors", train.prior), ("priors", test.prior)),
        )


def _enough(config: Config, name: str, model: ModelConfig) -> Iterator[Fault]:
    training, n = config.inference.training_of(name), config.campaigns[model.train].n
    n_validation = round(training.validation_fraction * n)
    key: Key = ("inference", "models", name, "train")
    fraction: Key = ("inference", "training", "validation_fraction")
    about: tuple[Key, ...] = (key, ("campaigns", model.train), fraction)
    if n_validation < MIN_VALIDATION:
        yield Fault(
            key,
            f"campaign {model.train!r} leaves {n_validation} simulations for validation, at least "
            f"{MIN_VALIDATION} expected; give it {math.ceil(MIN_VALIDATION / training.validation_fraction)}",
            about,
        )
    elif n - n_validation < training.batch_size:
        yield Fault(
            key,
            f"campaign {model.train!r} leaves {n - n_validation} simulations to train on, fewer than one "
            f"batch (its batch_size is {training.batch_size}); enlarge it or choose smaller batches",
            (*about, *_batch_size(name)),
        )


def _batch_size(model: str) -> tuple[Key, Key]:
    """Both places at which a model's batch size may stand."""
    return ("inference", "models", model, "batch_size"), ("inference", "training", "batch_size")


def _distinct_scores(config: Config) -> Iterator[Fault]:
    first_of: dict[tuple[str, str], str] = {}
    for name, model in config.inference.models.items():
        preset = config.campaigns[model.test].preset
        first = first_of.setdefault((model.network, preset), name)
        if first != name:
            yield Fault(
                ("inference", "models", name),
                f"model {first!r} also has network {model.network!r} and preset {preset!r}, and scores "
                f"identify models by these two; define the network a second time under 'networks', use "
                f"'seeds' for repetitions, or move one of the two models to another run",
                (
                    *(("inference", "models", one) for one in (first, name)),
                    *(("campaigns", config.inference.models[one].test) for one in (first, name)),
                ),
            )
        for k in range(1, model.seeds):
            if f"{name}-seed-{k}" in config.inference.models:
                yield Fault(
                    ("inference", "models", f"{name}-seed-{k}"),
                    f"this name is reserved for training {k + 1} of model {name!r}; rename this model",
                    (("inference", "models", f"{name}-seed-{k}"), ("inference", "models", name, "seeds")),
                )


def _learning_curve(config: Config) -> Iterator[Fault]:
    curve = config.inference.learning_curve
    if curve is None:
        return
    campaign = config.inference.models[curve.model].train
    training = config.inference.training_of(curve.model)
    available = int(config.campaigns[campaign].n * (1 - training.validation_fraction))
    key: Key = ("inference", "learning_curve", "sizes")
    about: tuple[Key, ...] = (key, ("inference", "models", curve.model), *_batch_size(curve.model))
    if min(curve.sizes) < training.batch_size:
        yield Fault(
            key,
            f"expected at least one batch (the model's batch_size is {training.batch_size}), received "
            f"{min(curve.sizes)}",
            about,
        )
    if max(curve.sizes) > available:
        yield Fault(
            key,
            f"expected at most {available} (campaign {campaign!r} less the validation fraction "
            f"{training.validation_fraction:g}), received {max(curve.sizes)}",
            (*about, ("campaigns", campaign), ("inference", "training", "validation_fraction")),
        )


def _sobol(config: Config) -> Iterator[Fault]:
    for position, name in enumerate(config.sensitivity.sobol):
        if config.campaigns[name].n < FEWEST_GROUPS:
            key: Key = ("sensitivity", "sobol", position)
            yield Fault(
                key,
                f"Sobol indices need a campaign with n of at least {FEWEST_GROUPS}, {name!r} has "
                f"{config.campaigns[name].n}",
                (key, ("campaigns", name)),
            )


def _rest(config: Config) -> Iterator[Fault]:
    for key, entries in config.analyses.items():
        if config.simulation.protocol.kind == "rest" and entries:
            wanted = "leave this empty or set simulation.protocol to kind: evoked"
            about = (key, ("simulation", "protocol", "kind"))
            yield Fault(key, f"a protocol of kind rest has no evoked response; {wanted}", about)


def _noise(config: Config) -> Iterator[Fault]:
    protocol, models = config.simulation.protocol, config.inference.models
    key: Key = ("inference", "models")
    if models and not config.eeg.noise:
        yield Fault(("eeg", "noise"), "models are trained and scored at noise levels; give at least one")
    used = {name for model in models.values() for name in (model.train, model.test)}
    for prior in sorted({config.campaigns[name].prior for name in used}):
        if "p_sd" in config.priors[prior].distributions:
            yield Fault(
                key,
                "models are compared with a limit that is valid for responses without process noise, but "
                f"prior {prior!r} varies p_sd; leave it out, or leave this empty",
                (key, ("priors", prior)),
            )
    if models and isinstance(protocol, EvokedProtocol) and protocol.noise_sd > 0:
        yield Fault(
            key,
            "models are compared with a limit that is valid for responses without process noise, but "
            f"simulation.protocol.noise_sd is {protocol.noise_sd:g}; set it to 0 or leave this empty",
            (("simulation", "protocol", "noise_sd"),),
        )
