"""Every kind of network: trained by the same code, saved, loaded, and resumed where it was interrupted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import NetworkConfig
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design import Prior
from jrflow.inference.networks.build import build_network
from jrflow.inference.networks.network import Architecture, Network
from jrflow.inference.networks.posterior import PosteriorNetwork
from jrflow.inference.scoring.comparison import Comparison, Parts
from jrflow.inference.scoring.evaluate import answered, evaluate, network_r2
from jrflow.inference.training.session import Session
from jrflow.inference.training.train import train
from jrflow.observe.observation import NoiseLevels

TRAINING = TrainingConfig(batch_size=50, max_presentations=13_500)
SMALL: dict[str, dict[str, Any]] = {
    "bilstm": {"samples_per_step": 10, "hidden": 16, "layers": 2},
    "lstm": {"samples_per_step": 10, "hidden": 16},
    "cnn_bilstm": {"hidden": 16, "filters": 8, "stride": 2, "learning_rate": 0.01},
    "transformer": {"samples_per_step": 5, "width": 32, "layers": 1},
    "mlp": {"hidden": 64, "layers": 2},
    "npe": {"samples_per_step": 10, "hidden": 16, "transforms": 2, "flow_hidden": 32, "learning_rate": 0.01},
}
KINDS = pytest.mark.parametrize("kind", SMALL)


def network_of(kind: str, **changes: Any) -> NetworkConfig:
    adapter: TypeAdapter[NetworkConfig] = TypeAdapter(NetworkConfig)
    return adapter.validate_python({"kind": kind} | SMALL[kind] | changes)


@pytest.fixture(scope="module")
def trained(parts: Parts, noise: NoiseLevels) -> dict[str, Network]:
    return {
        kind: train(
            parts.train, parts.validation, noise, TRAINING, network_of(kind), 0, progress=None
        ).network
        for kind in SMALL
    }


@KINDS
def test_it_learns(trained: dict[str, Network], parts: Parts, noise: NoiseLevels, kind: str) -> None:
    r2 = dict(network_r2(trained[kind], parts.test, noise, seed=0))
    assert r2["snr-30"][parts.test.names.index("b_i")] > 0.8
    assert r2["snr-30"].mean() > r2["snr-10"].mean() > 0.2


@pytest.mark.parametrize(
    ("kind", "optimiser"), [*((kind, "adam") for kind in SMALL), ("bilstm", "muon"), ("npe", "muon")]
)
def test_an_interrupted_training_ends_where_an_undisturbed_one_does(
    parts: Parts,
    noise: NoiseLevels,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    optimiser: str,
) -> None:
    config = TRAINING.model_copy(update={"max_presentations": 2700})
    network = network_of(kind, dropout=0.1, optimiser=optimiser, head_layers=1, head_width=16)
    undisturbed = train(parts.train, parts.validation, noise, config, network, 3, progress=None)
    original = Session.run_epoch

    def interrupted(session: Session) -> None:
        if session.epoch == 2:
            raise KeyboardInterrupt
        original(session)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "run_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(parts.train, parts.validation, noise, config, network, 3, folder=tmp_path, progress=None)
    resumed = train(parts.train, parts.validation, noise, config, network, 3, folder=tmp_path, progress=None)
    assert resumed.history == undisturbed.history
    ours, theirs = resumed.network.state_dict(), undisturbed.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_training_ends_when_nothing_is_gained(parts: Parts, noise: NoiseLevels) -> None:
    config = TRAINING.model_copy(update={"patience": 2, "max_presentations": 90_000})
    # So high a rate that it soon gets no better.
    network = network_of("bilstm", learning_rate=0.5)
    fit = train(parts.train, parts.validation, noise, config, network, 0, progress=None)
    merits = [record["validation_r2"] for record in fit.history]
    assert len(merits) < 100
    assert int(np.argmax(merits)) == len(merits) - 3


def test_draws_of_a_density_stay_in_range_and_products_follow(
    trained: dict[str, Network], parts: Parts, noise: NoiseLevels
) -> None:
    network = trained["npe"]
    assert isinstance(network, PosteriorNetwork)
    observed = torch.from_numpy(parts.test.source[:20, None])
    sd = torch.full((20,), float(noise.sd[0]))
    before = torch.get_rng_state()
    draws = network.draw(observed, sd, 200)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(draws, network.draw(observed, sd, 200))
    assert draws.shape == (20, 200, 5)
    prior = parts.train.prior
    assert (draws[..., :4] >= prior.low).all()
    assert (draws[..., :4] <= prior.high).all()
    named = dict(zip(parts.train.names, np.moveaxis(draws, -1, 0), strict=True))
    np.testing.assert_allclose(named["C_2"], named["C"] * named["a_2"])


def test_a_density_is_scored_and_diagnosed(trained: dict[str, Network], comparison: Comparison) -> None:
    table, labelled = evaluate(trained["npe"], "npe", comparison)
    assert len(table) == 2 * 5
    # After fifteen epochs on 900 simulations single targets depend on how a machine rounds.
    assert 0.8 < table.coverage_90.mean() < 0.97
    assert table.coverage_90.between(0.65, 0.99).all()
    quiet, loud = (labelled.width.sel(noise=name, nominal=0.9) for name in ("snr-30", "snr-10"))
    assert (quiet < loud).all()
    widths = (labelled.high - labelled.low).sel(noise="snr-30")
    assert ((widths.max("sim") - widths.min("sim")) > 0).all(), "not one width for all"
    assert dict(labelled.sizes) == {
        "noise": 2, "sim": 300, "parameter": 5, "diagnosed": 300, "credibility": 21, "nominal": 4,
        "checked": 100, "simulated": 10,
    }  # fmt: skip
    for row in table.itertuples():
        found = labelled.coverage.sel(nominal=0.9, noise=row.noise, parameter=row.parameter)
        assert float(found) == pytest.approx(row.coverage_90, abs=0.02)


def test_a_transformers_tokens_are_steps_in_time() -> None:
    architecture = Architecture(1, 40, ("A_e",), network_of("transformer"), "unit-consistent", {})
    network = build_network(architecture)
    assert network.body.position.shape == (8, 32)


def test_bfloat16_is_for_the_body_alone(parts: Parts, noise: NoiseLevels) -> None:
    mixed = TRAINING.model_copy(update={"precision": "bfloat16", "max_presentations": 2700})
    exact = TRAINING.model_copy(update={"max_presentations": 2700})
    ours, theirs = (
        train(parts.train, parts.validation, noise, config, network_of("mlp"), 0, progress=None)
        for config in (mixed, exact)
    )
    assert all(tensor.dtype != torch.bfloat16 for tensor in ours.network.state_dict().values())
    losses = [fit.history[-1]["validation_loss"] for fit in (ours, theirs)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_a_response_without_any_possible_draw_is_scored_as_the_prior(
    trained: dict[str, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flow may draw products that no C and a_k have: C_1 far above, C_2 far below what they can be."""
    prior = Prior.of(RelativeUniformPrior(kind="relative-uniform"), "unit-consistent")
    network = build_network(replace(trained["npe"].architecture, described_prior=prior.describe()))
    assert isinstance(network, PosteriorNetwork)
    x = np.zeros((3, 200, network.coordinates.n))
    x[1, :, -4:] = [6.0, -6.0, 6.0, -6.0]
    draws = network._targets(x, np.random.default_rng(0))
    assert np.isnan(draws[1, :, : len(prior.names)]).any(axis=1).all(), "no answer"
    scored = answered(draws, prior, 0)
    np.testing.assert_array_equal(scored[[0, 2]], draws[[0, 2]])
    parameters = scored[1, :, : len(prior.names)]
    np.testing.assert_allclose((parameters.mean(axis=0) - prior.mean) / prior.sd, 0, atol=0.3)
    np.testing.assert_allclose(parameters.std(axis=0), prior.sd, rtol=0.2)
    monkeypatch.setattr(network, "draw", lambda *_: draws)
    told = network.predict(torch.zeros(3), torch.zeros(3))
    np.testing.assert_allclose(told[1, : len(prior.names)], prior.mean)
    np.testing.assert_allclose(told[[0, 2]], draws[[0, 2]].mean(axis=1))
