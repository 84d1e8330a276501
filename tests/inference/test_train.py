from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import BiLSTMConfig
from jrflow.inference.scoring.comparison import Parts
from jrflow.inference.scoring.evaluate import network_r2
from jrflow.inference.training.session import Plan, Session
from jrflow.inference.training.train import Fit, train, training_fingerprint
from jrflow.observe.observation import NoiseLevels

TRAINING = TrainingConfig(batch_size=50, max_presentations=9000)
SHORT = TRAINING.model_copy(update={"max_presentations": 2700})
NETWORK = BiLSTMConfig(samples_per_step=10, hidden=16, dropout=0.1)


def run(
    parts: Parts,
    noise: NoiseLevels,
    folder: Path | None = None,
    config: Any = SHORT,
    network: Any = NETWORK,
    seed: int = 0,
) -> Fit:
    return train(parts.train, parts.validation, noise, config, network, seed, folder=folder, progress=None)


def same(one: Fit, other: Fit) -> bool:
    ours, theirs = one.network.state_dict(), other.network.state_dict()
    return one.history == other.history and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_training_beats_the_mean(parts: Parts, noise: NoiseLevels) -> None:
    fit = run(parts, noise, config=TRAINING, network=NETWORK.model_copy(update={"dropout": 0.0}))
    r2 = dict(network_r2(fit.network, parts.test, noise, seed=0))
    names = list(parts.test.names)
    assert r2["snr-30"][names.index("b_i")] > 0.8
    assert r2["snr-30"].mean() > r2["snr-10"].mean() > 0.2
    losses = [record["validation_loss"] for record in fit.history]
    assert min(losses) < 0.7
    assert [record["epoch"] for record in fit.history] == list(range(1, 11))
    assert fit.history[-1]["n_presentations"] == 9000


def test_the_best_weights_are_kept(parts: Parts, noise: NoiseLevels, monkeypatch: pytest.MonkeyPatch) -> None:
    after = []

    def spoil(session: Session) -> None:
        original(session)
        after.append({name: t.clone() for name, t in session.network.state_dict().items()})
        with torch.no_grad():  # from here on it can only get worse
            session.network.head.bias += 5

    original = Session.run_epoch
    monkeypatch.setattr(Session, "run_epoch", spoil)
    fit = run(parts, noise)
    assert all(torch.equal(after[0][name], t) for name, t in fit.network.state_dict().items())


def test_the_same_seed_gives_the_same_weights(parts: Parts, noise: NoiseLevels) -> None:
    before = torch.get_rng_state()
    first = run(parts, noise)
    torch.manual_seed(1234)
    assert same(first, run(parts, noise))
    assert not same(first, run(parts, noise, seed=1))
    torch.set_rng_state(before)
    run(parts, noise)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_resumed_training_equals_an_undisturbed_one(
    parts: Parts, noise: NoiseLevels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = run(parts, noise)

    def interrupted(session: Session) -> None:
        if session.epoch == 2:
            raise KeyboardInterrupt
        original(session)

    original = Session.run_epoch
    with monkeypatch.context() as patch:
        patch.setattr(Session, "run_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(parts, noise, tmp_path)
    resumed_at = []
    monkeypatch.setattr(Session, "run_epoch", lambda s: (resumed_at.append(s.epoch), original(s)))
    assert same(undisturbed, run(parts, noise, tmp_path))
    assert resumed_at == [2]


def test_another_trainings_checkpoint_is_an_error(parts: Parts, noise: NoiseLevels, tmp_path: Path) -> None:
    run(parts, noise, tmp_path)
    with pytest.raises(ValueError, match="holds the checkpoint of another training"):
        run(parts, noise, tmp_path, seed=1)
    run(parts, noise, tmp_path, SHORT.model_copy(update={"checkpoint_every": 2}))  # changes no weight


def test_fewer_simulations_than_a_batch_are_an_error(parts: Parts, noise: NoiseLevels) -> None:
    few = parts.train.take(np.arange(30))
    with pytest.raises(ValueError, match=r"too few simulations: 30 for training, but batch_size is 50"):
        train(few, parts.validation, noise, SHORT, NETWORK, 0, progress=None)


def test_a_plan_shows_what_was_asked_for() -> None:
    plan = Plan.of(1000, TRAINING.model_copy(update={"max_presentations": 7600, "batch_size": 300}), 0.01)
    assert (plan.n_epochs, plan.n_batches, plan.n_presentations) == (8, 4, 8000)
    rates = [plan.learning_rate(step) for step in range(32)]
    assert max(rates) < plan.peak
    assert rates[1] == max(rates)
    assert rates[-1] < 0.01 * plan.peak
    assert Plan.of(1000, TRAINING.model_copy(update={"max_presentations": 1}), 0.01).n_epochs == 1


def test_levels_of_different_shape_take_turns(experiment: Any, parts: Parts) -> None:
    levels = experiment.levels | {"other": experiment.levels["snr-10"].averaged(7)}
    mixed = NoiseLevels.of("projected", experiment.lead_field, levels, parts.train.epoch)
    fit = run(parts, mixed)
    assert np.isfinite([record["training_loss"] for record in fit.history]).all()
    first = mixed.observations[0]
    alike = NoiseLevels(mixed.names, tuple(replace(first, sd=sd) for sd in mixed.sd))
    ours, theirs = (training_fingerprint(parts.train, each, SHORT, NETWORK, 0) for each in (mixed, alike))
    assert ours != theirs
