from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from jrflow.inference.training.paper import PaperBiLSTM
from jrflow.inference.training.paper_training import KerasBiLSTM, PaperSettings, PaperTraining, paper_loss

QUICK = PaperSettings(max_epochs=3, hidden=8)


def bumps(n: int, n_inputs: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Responses of a given height and latency on several channels in little noise, and both as targets."""
    rng = np.random.default_rng(0)
    targets = np.column_stack([rng.uniform(1, 5, n), rng.uniform(0.1, 0.4, n)])
    evoked = targets[:, :1] * np.exp(-(((np.arange(1, 26) / 50 - targets[:, 1:]) / 0.06) ** 2))
    clean = evoked[:, None] * np.linspace(-1, 1, n_inputs)[:, None] if n_inputs > 1 else evoked[:, None]
    return (clean + 0.05 * rng.standard_normal(clean.shape)).astype(np.float32), targets


def r2(model: PaperBiLSTM, observed: np.ndarray, targets: np.ndarray) -> np.ndarray:
    error = model.predict(observed) - targets
    return 1 - (error**2).mean(axis=0) / targets.var(axis=0)


class Spy:
    """Remembers what a network is shown while it is trained."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[float] = []
        forward = KerasBiLSTM.forward

        def watched(network: KerasBiLSTM, scaled: torch.Tensor) -> torch.Tensor:
            if network.training:
                self.shown += scaled.double().sum(dim=(1, 2)).tolist()
            return forward(network, scaled)

        monkeypatch.setattr(KerasBiLSTM, "forward", watched)

    def epochs(self, n: int) -> np.ndarray:
        return np.sort(np.reshape(self.shown, (n, -1)), axis=1)


@pytest.mark.parametrize(
    ("n_inputs", "changes"), [(4, {}), (1, {"loss": "mse", "target_scaling": "standard"})]
)
def test_it_learns_more_than_the_mean(n_inputs: int, changes: dict[str, str]) -> None:
    observed, targets = bumps(600, n_inputs)
    settings = PaperSettings(max_epochs=12, hidden=16, learning_rate=0.01, input_rms=1.0)
    model = PaperBiLSTM.fit(
        observed[:500],
        targets[:500],
        seed=0,
        settings=replace(settings, **changes),  # type: ignore[arg-type]
    )
    assert (r2(model, observed[400:], targets[400:]) > 0.5).all()


def test_the_settings_are_the_papers() -> None:
    paper = PaperSettings()
    assert (paper.n_simulations, paper.max_epochs, paper.patience, paper.batch_size) == (1000, 150, 50, 32)
    assert (paper.hidden, paper.dropout, paper.learning_rate) == (64, 0.1, 1e-3)


def test_the_loss_is_the_inverse_of_a_signal_to_noise_ratio() -> None:
    wanted = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    torch.testing.assert_close(paper_loss(wanted * 1.1, wanted), torch.tensor(-20.0), rtol=0, atol=1e-4)
    torch.testing.assert_close(paper_loss(0 * wanted, wanted), torch.tensor(0.0))
    torch.testing.assert_close(paper_loss(0 * wanted, wanted, "mse"), torch.tensor(2.5))


def test_weights_begin_as_in_keras() -> None:
    network = KerasBiLSTM(3, 8, 2)
    for suffix in ("l0", "l0_reverse"):
        bias = getattr(network.lstm, f"bias_ih_{suffix}")
        np.testing.assert_allclose(bias.detach().reshape(4, 8)[:, 0], [1e-3, 1, 1e-3, 1e-3])
        assert not getattr(network.lstm, f"bias_hh_{suffix}").requires_grad
        recurrent = getattr(network.lstm, f"weight_hh_{suffix}").detach()
        torch.testing.assert_close(recurrent.T @ recurrent, torch.eye(8))
        assert getattr(network.lstm, f"weight_ih_{suffix}").abs().max() <= (6 / (3 + 32)) ** 0.5
    assert isinstance(network.head, nn.Linear)


def test_the_same_seed_gives_the_same_and_no_global_state_is_used() -> None:
    observed, targets = bumps(100)
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = PaperBiLSTM.fit(observed, targets, seed=0, settings=QUICK).predict(observed)
    torch.testing.assert_close(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    torch.rand(3)
    again, other = (
        PaperBiLSTM.fit(observed, targets, seed=seed, settings=QUICK).predict(observed) for seed in (0, 1)
    )
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(other, first)


def test_noise_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    observed, targets = bumps(100)
    spy = Spy(monkeypatch)
    PaperBiLSTM.fit(observed, targets, seed=0, settings=replace(QUICK, dropout=0.0))
    epochs = spy.epochs(3)
    np.testing.assert_array_equal(epochs, epochs[[0, 0, 0]])


def test_noise_is_drawn_anew_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    observed, targets = bumps(100)
    spy = Spy(monkeypatch)

    def redraw(index: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        clean = torch.from_numpy(observed[index.numpy()])
        return clean + 0.1 * torch.randn(clean.shape, generator=generator)

    settings = replace(QUICK, dropout=0.0)
    PaperBiLSTM.fit(observed, targets, seed=0, settings=settings, redraw=redraw)
    epochs = spy.epochs(3)
    assert not np.isin(epochs[0], epochs[1:]).any()


def test_only_the_first_simulations_count_and_a_part_of_them_is_trained_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observed, targets = bumps(300)
    spy = Spy(monkeypatch)
    settings = replace(QUICK, n_simulations=100, max_epochs=1)
    model = PaperBiLSTM.fit(observed, targets, seed=0, settings=settings)
    assert len(spy.shown) == 81
    observed[100:] = 0
    again = PaperBiLSTM.fit(observed, targets, seed=0, settings=settings)
    np.testing.assert_array_equal(model.predict(observed), again.predict(observed))


def test_outliers_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    observed, targets = bumps(100)
    observed[:30:3] *= 1000
    spy = Spy(monkeypatch)
    PaperBiLSTM.fit(observed, targets, seed=0, settings=replace(QUICK, max_epochs=1, dropout=0.0))
    assert 71 <= len(spy.shown) <= 81
    assert np.abs(spy.shown).max() < 100 * np.median(np.abs(spy.shown))


def test_it_stops_when_nothing_improves_and_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    observed, targets = bumps(100)
    wanted = PaperBiLSTM.fit(observed, targets, seed=0, settings=replace(QUICK, max_epochs=2))
    losses = iter([-1.0, -2.0, -2.001, -1.5, -3.0])
    monkeypatch.setattr(PaperTraining, "_watch", lambda *_: next(losses))
    settings = replace(QUICK, max_epochs=40, patience=2)
    model = PaperBiLSTM.fit(observed, targets, seed=0, settings=settings)
    # A thousandth of a decibel is no improvement.
    assert model.history == (-1.0, -2.0, -2.001, -1.5)
    np.testing.assert_array_equal(model.predict(observed), wanted.predict(observed))


def test_too_little_or_of_another_shape_is_refused() -> None:
    observed, targets = bumps(30)
    with pytest.raises(ValueError, match=r"too few simulations.*24 of 30 are for training.*at least 41"):
        PaperBiLSTM.fit(observed, targets, seed=0)
    with pytest.raises(ValueError, match=r"received shapes \(30, 25\) and \(30, 2\)"):
        PaperBiLSTM.fit(observed[:, 0], targets, seed=0)
