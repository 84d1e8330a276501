"""Recordings of known kinds, on which verdicts.py measures false alarms and power."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when NumPy is imported

import conditions as made
import numpy as np
import xarray as xr

from jrflow.config.eeg import MontageHead, SnrNoise, SourceConfig
from jrflow.config.priors import RelativeUniformPrior
from jrflow.config.simulation import SimulationConfig
from jrflow.design.priors import Prior
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.observe.covariance import factor
from jrflow.observe.head import lead_field as make_lead_field
from jrflow.observe.noise import EvokedNoise, noise_level
from jrflow.observe.projection import baseline_correct
from jrflow.simulation import simulate

PRESET, SFREQ = "unit-consistent", 100.0
#: 3 cm from the assumed place; another lobe, where second sources are; mm (MNI).
THREE_CM, ELSEWHERE = (-40.0, -18.0, 47.0), (22.0, -92.0, 8.0)
#: Draws from the prior that are compared with each recording, and nearest ones from which the fit starts.
N_REFERENCE, N_STARTS, N_ITERATIONS = 8192, 6, 40
#: A fit with less than this p-value is repeated from the nearest of many draws.
AGAIN, N_MANY, N_NEAREST = 0.01, 32_768, 64
#: Components removed, as for eye and heart artefacts; recordings that are fitted at a time.
N_REMOVED, AT_ONCE = 6, 100
#: Standard deviation of the baseline over that of the epoch from which a response reaches into the baseline.
OSCILLATES = 0.2
#: Distance over which noise of neighbouring channels correlates, m.
NEIGHBOURS = 0.06


@dataclass(frozen=True)
class Given:
    """Recordings, uV, (n, n_channels, n_times), and what is assumed of them."""

    eeg: np.ndarray
    lead_field: xr.DataArray
    noise: EvokedNoise


@dataclass(frozen=True)
class Bench:
    n: int
    seed: int

    @cached_property
    def prior(self) -> Prior:
        return Prior.of(RelativeUniformPrior(kind="relative-uniform"), PRESET)

    @cached_property
    def simulation(self) -> SimulationConfig:
        return SimulationConfig()

    @cached_property
    def lead_field(self) -> xr.DataArray:
        return self.place(SourceConfig().position)

    def place(self, position: tuple[float, float, float]) -> xr.DataArray:
        return make_lead_field(MontageHead(), SourceConfig(position=position))

    def sources(self, seed: int, n: int, **protocol: float) -> np.ndarray:
        """Baseline-corrected sources of draws from the prior, mV, (n, n_times); failed ones are left out."""
        draws = self.prior.sample(n + n // 8 + 8, seed)
        simulation = self.simulation
        if protocol:
            changed = replace(simulation.protocol, **protocol)
            simulation = simulation.model_copy(update={"protocol": changed})
        parameters = dict(zip(self.prior.names, draws.T, strict=True))
        ds = simulate(parameters, **simulation.column_arguments(PRESET))
        good = ds["source"].values[ds["status"].values == 0, 0][:n]
        return baseline_correct(good.astype(float), ds["time"].values)

    @cached_property
    def clean(self) -> np.ndarray:
        return self.sources(self.seed + 1, self.n)

    @cached_property
    def oscillating(self) -> np.ndarray:
        """Responses that are not flat in the baseline."""
        many = self.sources(self.seed + 2, 10 * self.n)
        before = many[:, self.simulation.timing.times <= 0].std(axis=1)
        return many[before > OSCILLATES * many.std(axis=1)][: self.n]

    @cached_property
    def _reference(self) -> tuple[np.ndarray, np.ndarray]:
        """Many draws from the prior, and their responses, mV."""
        draws = self.prior.sample(N_MANY, self.seed + 4)
        parameters = dict(zip(self.prior.names, draws.T, strict=True))
        ds = simulate(parameters, **self.simulation.column_arguments(PRESET))
        good = ds["status"].values == 0
        return draws[good], ds["source"].values[good, 0]

    def nearest(self, case: EvokedLikelihood) -> np.ndarray:
        """Coordinates of the draws whose responses are nearest to that of a single case."""
        draws, source = self._reference
        distance = np.empty(len(draws))
        for first in range(0, len(draws), 4096):
            part = slice(first, first + 4096)
            away = case.observation.clean(source[part, None]) - case.observed
            distance[part] = (case.observation.whiten(away.astype(np.float32)) ** 2).sum(axis=1)
        return case.coordinates.of_parameters(draws[np.argsort(distance)[:N_NEAREST]])

    @cached_property
    def reference_rms(self) -> float:
        size = np.sqrt((self.lead_field.values[:, 0] ** 2).mean())
        return float(np.median(np.sqrt((self.clean**2).mean(axis=1))) * size)

    def white(self, snr_db: float = 20.0) -> EvokedNoise:
        level = SnrNoise(kind="snr", snr_db=snr_db)
        return noise_level(level, self.lead_field, self.simulation.timing, self.reference_rms)

    @cached_property
    def correlated(self) -> np.ndarray:
        """Covariance over channels of noise that neighbours share, average reference, as at 20 dB."""
        at = np.stack([self.lead_field[axis].values for axis in ("x", "y", "z")], axis=1)
        apart = np.linalg.norm(at[:, None] - at, axis=-1)
        centre = np.eye(len(at)) - 1 / len(at)
        covariance = centre @ np.exp(-((apart / NEIGHBOURS) ** 2) - 0.05 * (apart == 0)) @ centre
        covariance += 0.05 * centre
        return covariance * np.trace(self.white().covariance) / np.trace(covariance)


def recorded(
    source: np.ndarray,
    lead_field: xr.DataArray,
    noise: EvokedNoise,
    seed: int,
    temporal: np.ndarray | None = None,
) -> np.ndarray:
    """Sources seen through a lead field in noise, uV, (n, n_channels, n_times)."""
    over_time = noise.temporal_covariance() if temporal is None else temporal
    spatial, root = (factor(c).astype(np.float32) for c in (noise.covariance, over_time))
    rng, gain = np.random.default_rng(seed), lead_field.values[:, 0].astype(np.float32)
    eeg = np.empty((len(source), len(gain), len(noise.times)), np.float32)
    for k, one in enumerate(source):
        drawn = rng.standard_normal((spatial.shape[1], root.shape[1]), np.float32)
        eeg[k] = np.outer(gain, one) + spatial @ drawn @ root.T
    return eeg


def kinds(bench: Bench) -> dict[str, tuple[bool, Callable[[], Given]]]:  # noqa: C901 (one function a kind)
    """Kinds of recordings by name: whether the model is right, and how they are made."""
    here, noise, seed = bench.lead_field, bench.white, bench.seed + 10
    times = bench.simulation.timing.times

    def right(snr_db: float = 20.0, **change: Any) -> Given:
        level = noise(snr_db)
        return Given(recorded(bench.clean, here, level, seed, **change), here, level)

    def louder(factor_: float) -> Given:
        actual = replace(noise(), covariance=factor_**2 * noise().covariance)
        return replace(right(), eeg=recorded(bench.clean, here, actual, seed))

    def coloured(correlation: np.ndarray) -> Given:
        return right(temporal=made.coloured(noise(), correlation))

    def second(size: float, base: Given) -> Given:
        """Another source elsewhere, of ``size`` times the noise's sd (root mean square)."""
        away, others = bench.place(ELSEWHERE).values[:, 0], bench.sources(seed + 3, len(base.eeg))
        extra = away[None, :, None] * others[:, None]
        extra *= size * noise().sd / np.sqrt((extra**2).mean(axis=(1, 2), keepdims=True))
        return replace(base, eeg=base.eeg + extra.astype(np.float32))

    def removed(base: Given) -> Given:
        """The covariance is shrunk: it does not show that components are missing."""
        eeg, basis = projected(base.eeg, here)
        gain = here.copy(data=basis @ here.values)
        return replace(base, eeg=eeg, lead_field=gain)

    def elsewhere(snr_db: float = 20.0) -> Given:
        eeg = recorded(bench.clean, bench.place(THREE_CM), noise(snr_db), seed)
        return Given(eeg, here, noise(snr_db))

    def pulse(ms: int) -> Given:
        source = bench.sources(bench.seed + 1, bench.n, stim_duration=ms / 1e3)
        return Given(recorded(source, here, noise(), seed), here, noise())

    def artefact(base: Given, late: bool) -> Given:
        """10 Hz, 500 uV in one channel; or 50 uV from 300 ms on."""
        eeg = base.eeg.copy()
        wave = 50.0 * (times > 0.3) if late else 500.0 * np.sin(2 * np.pi * 10 * times)
        eeg[:, 17] += baseline_correct(wave, times)
        return replace(base, eeg=eeg - eeg.mean(axis=1, keepdims=True))

    def estimated(n_samples: int) -> Given:
        """The covariance over channels is that of a finite number of samples of noise."""
        covariance = bench.correlated
        rng = np.random.default_rng(seed)
        rows = rng.standard_normal((n_samples, len(covariance) - 1)) @ factor(covariance).T
        eeg = recorded(bench.clean, here, replace(noise(), covariance=covariance), seed)
        return Given(eeg, here, replace(noise(), covariance=rows.T @ rows / n_samples))

    def taken_for_white() -> Given:
        actual = replace(noise(), covariance=bench.correlated)
        return Given(recorded(bench.clean, here, actual, seed), here, noise())

    nothing = np.zeros_like(bench.clean)
    return {
        **{f"right model, {db} dB": (True, lambda db=db: right(db)) for db in (20, 0, 40)},
        "right model, noise AR(1), 20 ms": (True, lambda: coloured(made.autoregressive(1000.0))),
        "right model, noise 1/f": (True, lambda: coloured(made.pink(1000.0))),
        "right model, noise 1.3 times as large as assumed": (True, lambda: louder(1.3)),
        "right model, noise twice as large as assumed": (True, lambda: louder(2.0)),
        "right model, noise half as large as assumed": (True, lambda: louder(0.5)),
        "right model, 59 averages stated as 1": (True, lambda: louder(59**-0.5)),
        "right model, 6 components removed": (True, lambda: removed(right())),
        "right model, response in the baseline": (
            True,
            lambda: Given(recorded(bench.oscillating, here, noise(), seed), here, noise()),
        ),
        "right model, covariance from 10,000 samples": (True, lambda: estimated(10_000)),
        "right model, covariance taken for white": (True, taken_for_white),
        **{
            f"second source, {size:g} of the noise": (False, lambda size=size: second(size, right()))
            for size in (0.03, 0.05, 0.1)
        },
        **{
            f"second source, {size:g} of the noise, 6 components removed": (
                False,
                lambda size=size: removed(second(size, right())),
            )
            for size in (0.05,)
        },
        "place 3 cm away": (False, elsewhere),
        "place 3 cm away, 0 dB": (False, lambda: elsewhere(0.0)),
        "pulse of 40 ms": (False, lambda: pulse(40)),
        "pulse of 100 ms": (False, lambda: pulse(100)),
        "noise alone": (True, lambda: Given(recorded(nothing, here, noise(), seed), here, noise())),
        "noise alone, 1/f": (
            True,
            lambda: replace(
                right(),
                eeg=recorded(nothing, here, noise(), seed, made.coloured(noise(), made.pink(1000.0))),
            ),
        ),
        "one channel with 500 uV at 10 Hz": (False, lambda: artefact(right(), False)),
        "one channel with 50 uV from 300 ms on": (False, lambda: artefact(right(), True)),
    }


def projected(eeg: np.ndarray, lead_field: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Remove components from recordings; also the projector, (n_channels, n_channels)."""
    n = lead_field.sizes["channel"]
    away = np.random.default_rng(0).standard_normal((n, N_REMOVED))
    away = np.linalg.qr(away - away.mean(axis=0))[0]
    projector = np.eye(n) - away @ away.T
    return (projector.astype(np.float32) @ eeg), projector
