"""Do 95 % intervals of Sobol indices hold in 95 % of analyses? Scrambles against the bootstrap, as a table.

    python benchmarks/sobol.py [--analyses 400]

On the Ishigami and Sobol' g functions, whose indices are known. Then: by how much indices are wrong if the
groups whose simulations fail are dropped.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from SALib.analyze import sobol as salib
from scipy.stats import t as student

from jrflow.config.campaigns import CampaignConfig
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design import Prior, make_design
from jrflow.sensitivity.estimator import estimate

#: Parameters of the model whose ranges stand for the inputs of the functions.
NAMES = ("A_e", "A_i", "b_e", "b_i")
#: Sobol' g function: one strong, one medium, one weak, one nearly inert input.
G = np.array([0.0, 1.0, 4.5, 99.0])
#: A bootstrap takes longer: fewer analyses, with SALib's default number of resamples halved.
BOOTSTRAPPED, RESAMPLES = 200, 50

Function = Callable[[np.ndarray], np.ndarray]


def ishigami(x: np.ndarray) -> np.ndarray:
    angle = np.pi * (2 * x - 1)
    found: np.ndarray = (
        np.sin(angle[..., 0]) * (1 + 0.1 * angle[..., 2] ** 4) + 7 * np.sin(angle[..., 1]) ** 2
    )
    return found


def g_function(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.prod((abs(4 * x - 2) + G) / (1 + G), axis=-1)
    return found


def ishigami_indices() -> np.ndarray:
    """Analytic first-order and total indices, shape (2, 3); the first-order index of x3 is 0."""
    v1, v2 = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8
    v13 = 0.01 * np.pi**8 * (1 / 18 - 1 / 50)
    return np.array([[v1, v2, 0], [v1 + v13, v2, v13]]) / (v1 + v2 + v13)


def g_indices() -> np.ndarray:
    """Analytic first-order and total indices, shape (2, 4)."""
    partial = 1 / 3 / (1 + G) ** 2
    both = np.array([partial, partial * np.prod(1 + partial) / (1 + partial)])
    indices: np.ndarray = both / (np.prod(1 + partial) - 1)
    return indices


FUNCTIONS: dict[str, tuple[Function, np.ndarray]] = {
    "Ishigami": (ishigami, ishigami_indices()), "g": (g_function, g_indices())
}  # fmt: skip


def rows(n: int, d: int, seed: int, replicates: int) -> np.ndarray:
    """Rows of a saltelli campaign on the unit cube, shape (n, d + 2, d)."""
    prior = Prior.of(RelativeUniformPrior(kind="relative-uniform", parameters=NAMES[:d]), "unit-consistent")
    campaign = CampaignConfig(design="saltelli", n=n, prior="half")
    design = make_design(campaign, prior, seed, replicates=replicates)
    values = np.column_stack([design[name].values for name in prior.names])
    return ((values - prior.low) / (prior.high - prior.low)).reshape(n, d + 2, d)


def by_scrambles(
    function: Function, d: int, n: int, replicates: int, analyses: int
) -> tuple[np.ndarray, ...]:
    """Indices and half widths over (2, parameter, analysis)."""
    outputs = np.stack([function(rows(n, d, seed, replicates)) for seed in range(analyses)], axis=-1)
    found = estimate(outputs, np.arange(n) % replicates, replicates)
    width = student.ppf(0.975, replicates - 1)
    return np.stack([found.first, found.total]), width * np.stack([found.first_se, found.total_se])


def by_bootstrap(function: Function, d: int, n: int, analyses: int) -> tuple[np.ndarray, ...]:
    """The same of single scrambles by SALib."""
    problem = {"num_vars": d, "names": list(NAMES[:d])}
    indices, widths = np.empty((2, 2, d, analyses))
    for k in range(analyses):
        outputs = function(rows(n, d, k, 1)).ravel()
        one = salib.analyze(problem, outputs, calc_second_order=False, num_resamples=RESAMPLES, seed=k + 1)
        indices[..., k] = one["S1"], one["ST"]
        widths[..., k] = one["S1_conf"], one["ST_conf"]
    return indices, widths


def coverage_table(analyses: int) -> Iterator[str]:
    header = "function", "n", "errors from", "coverage of S1 (%)", "of ST (%)", "true sd of S1", "half width"
    yield f"| {' | '.join(header)} |"
    yield "|---|---|---|---|---|---|---|"
    for name, (function, truth) in FUNCTIONS.items():
        d = truth.shape[1]
        for n in (128, 512, 2048):
            found = {f"{r} scrambles": by_scrambles(function, d, n, r, analyses) for r in (8, 16, 32)}
            found["bootstrap"] = by_bootstrap(function, d, n, BOOTSTRAPPED)
            for label, (indices, widths) in found.items():
                covered = 100 * (abs(indices - truth[..., np.newaxis]) <= widths).mean(axis=-1)
                cells = [" ".join(f"{c:.0f}" for c in row) for row in covered]
                sd = " ".join(f"{value:.3f}" for value in indices[0].std(axis=-1))
                width = " ".join(f"{value:.3f}" for value in widths[0].mean(axis=-1))
                yield f"| {name} | {n} | {label} | {cells[0]} | {cells[1]} | {sd} | {width} |"


def bias_table() -> Iterator[str]:
    yield "| failing simulations | groups dropped (%) | largest error of an index |"
    yield "|---|---|---|"
    n = 16_384
    x = rows(n, 3, 0, 8)
    outputs, replicate = ishigami(x), np.arange(n) % 8
    rng = np.random.default_rng(0)
    for share in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05):
        failures = {
            "largest outputs": outputs > np.quantile(outputs, 1 - share),
            "largest x1": x[..., 0] > 1 - share,
            "at random": rng.random(outputs.shape) < share,
        }
        for label, failed in failures.items():
            kept = np.where(failed, np.nan, outputs)[..., np.newaxis]
            found = estimate(kept, replicate, 8)
            error = abs(np.stack([found.first, found.total])[..., 0] - ishigami_indices()).max()
            yield f"| {label}, {100 * share:g} % | {100 * failed.any(axis=1).mean():.1f} | {error:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--analyses", type=int, default=400)
    for line in (*coverage_table(parser.parse_args().analyses), "", *bias_table()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
