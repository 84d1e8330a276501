"""Modes, proposals, chains and starts know a density, and nothing of what it is the density of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from jrflow.limits.density import Curvature, LogDensity
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.starts import modes_of_the_nearest, nearest_simulations


@dataclass(frozen=True)
class Bent(LogDensity):
    """x ~ N(0, 1) twice; observed are x_0 and x_1 + bend x_0 ** 2, in noise."""

    observed: np.ndarray
    sd: tuple[float, float] = (0.8, 0.2)
    bend: float = 0.5

    @property
    def n_cases(self) -> int:
        return len(self.observed)

    @property
    def rank(self) -> int:
        return 2

    @property
    def mean(self) -> np.ndarray:
        return np.zeros(2)

    @property
    def precision(self) -> np.ndarray:
        return np.eye(2)

    @property
    def n_scored(self) -> int:
        return 2

    def take(self, cases: np.ndarray | slice) -> Bent:
        return replace(self, observed=self.observed[cases])

    def sample_prior(self, n: int, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal((n, 2))

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        density: np.ndarray = -0.5 * (x**2).sum(axis=1)
        return density

    def expected(self, x: np.ndarray) -> np.ndarray:
        return np.column_stack([x[:, 0], x[:, 1] + self.bend * x[:, 0] ** 2])

    def log_likelihood(self, x: np.ndarray, cases: np.ndarray) -> np.ndarray:
        return self.curvature(x, cases).log_likelihood

    def curvature(self, x: np.ndarray, cases: np.ndarray) -> Curvature:
        white = (self.observed[cases] - self.expected(x)) / self.sd
        slope = np.zeros((len(x), 2, 2))  # of expected[r] by x[p]: [n, p, r]
        slope[:, 0, 0], slope[:, 0, 1], slope[:, 1, 1] = 1, 2 * self.bend * x[:, 0], 1
        slope = slope / self.sd
        return Curvature(
            -0.5 * (white**2).sum(axis=1), slope @ np.swapaxes(slope, 1, 2),
            np.einsum("npr,nr->np", slope, white),
        )  # fmt: skip


def observations(n: int) -> Bent:
    rng = np.random.default_rng(4)
    density = Bent(np.zeros((n, 2)))
    clean = density.expected(rng.standard_normal((n, 2)))
    return replace(density, observed=clean + rng.standard_normal((n, 2)) * density.sd)


def on_a_grid(density: Bent, case: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (2,), by quadrature."""
    axis = np.linspace(-5, 5, 401)
    x = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    height = density.log_prior(x) + density.log_likelihood(x, np.full(len(x), case))
    weight = np.exp(height - height.max())
    mean = np.average(x, axis=0, weights=weight)
    return mean, np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight))


def test_a_posterior_without_simulations_is_sampled() -> None:
    density = observations(6)
    found = exact_posteriors(density, modes_of_the_nearest(density, 500, 0), Effort(), 0)
    assert found.resolved().all()
    for case in range(density.n_cases):
        mean, sd = on_a_grid(density, case)
        draws = found.draws[case].equally_weighted(400, np.random.default_rng(case))
        assert (np.abs(draws.mean(axis=0) - mean) < 0.2 * sd).all()
        np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.15)


def test_misfits_by_default_are_those_of_each_case() -> None:
    density = observations(3)
    nearest = nearest_simulations(density, 300, 1)[:, 0]
    reference = density.sample_prior(300, 1)
    for case in range(density.n_cases):
        likelihoods = density.log_likelihood(reference, np.full(300, case))
        np.testing.assert_array_equal(nearest[case], reference[likelihoods.argmax()])
