"""A model whose posterior is known: responses linear in parameters whose prior is normal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from jrflow.archive.vocabulary import NON_FINITE, OK
from jrflow.config.priors import Distribution, IndependentPrior
from jrflow.config.simulation import SimulationConfig
from jrflow.design import Prior
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.observe.covariance import whitening
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import Observation

SIMULATION = SimulationConfig.model_validate({"protocol": {"kind": "evoked", "n_trials": 5}, "sfreq": 100.0})
TIMES = SIMULATION.timing.times
AFTER = TIMES > 0
#: Two of them are much alike: the posterior is correlated.
BASES = {
    "A_e": np.sin(12 * TIMES) * AFTER,
    "A_i": np.cos(7 * TIMES) * AFTER,
    "b_e": (np.sin(12 * TIMES) + 0.3 * np.exp(-5 * TIMES)) * AFTER,
}
CENTRE = 10.0
NOISE = EvokedNoise(np.eye(2), 5, TIMES, SIMULATION.timing.period)
OBSERVATION = Observation.of_sources(Epoch(TIMES, SIMULATION.timing.period), NOISE, 1.0)
_WHITENER = whitening(NOISE.temporal_covariance())


def normal_prior() -> Prior:
    """N(10, 1) for each parameter, truncated where nobody gets."""
    wide = Distribution(low=CENTRE - 8, high=CENTRE + 8, mean=CENTRE, sd=1.0)
    return Prior.of(
        IndependentPrior(kind="independent", parameters=dict.fromkeys(BASES, wide)), "unit-consistent"
    )


def simulator(
    response: Callable[[dict[str, np.ndarray]], np.ndarray], fails: Callable[..., np.ndarray] | None = None
) -> Any:
    """Stand-in for jrflow.simulate."""

    def simulated(parameters: dict[str, np.ndarray], **_: Any) -> xr.Dataset:
        source = response(parameters)
        failed = np.zeros(len(source), bool) if fails is None else fails(parameters)
        source[failed] = np.nan
        return xr.Dataset(
            {
                "source": (("sim", "region", "time"), source[:, None]),
                "status": ("sim", np.where(failed, NON_FINITE, OK)),
            },
            coords={"time": TIMES},
        )

    return simulated


def linear(parameters: dict[str, np.ndarray]) -> np.ndarray:
    return sum(np.outer(parameters[name], base) for name, base in BASES.items())  # type: ignore[return-value]


def observe(clean: np.ndarray, sd: float, seed: int) -> np.ndarray:
    """Noisy observations (n_cases, 1, n_times) of baseline-corrected responses (n_cases, n_times)."""
    return OBSERVATION.draw(clean[:, None], np.random.default_rng(seed), sd)


def likelihood(observed: np.ndarray, sd: float, prior: Prior | None = None) -> EvokedLikelihood:
    """Of observations by :func:`observe`."""
    return EvokedLikelihood.of(observed, OBSERVATION, prior or normal_prior(), SIMULATION, sd)


def exact(observed: np.ndarray, sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean (n_cases, 3) and covariance (3, 3)."""
    design = _WHITENER.T @ np.column_stack(list(BASES.values())) / sd
    covariance = np.linalg.inv(design.T @ design + np.eye(len(BASES)))
    return (observed[:, 0] @ _WHITENER / sd @ design + CENTRE) @ covariance, covariance
