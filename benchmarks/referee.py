"""The reference posteriors beside those of an independent sampler, case by case.

    python benchmarks/referee.py DIR --cases 20    # goes on from docs/results/referee.csv, in DIR/referee.csv
    python benchmarks/referee.py DIR --table       # the table; stores DIR/referee.csv in docs/results

The referee is the sequential Monte Carlo sampler of pocoMC (Karamanis et al. 2022, MNRAS 516:1644), without
its normalizing flow, corrected by importance sampling: a mixture of Student t distributions is fitted to its
draws and to those of two rounds of importance sampling, and the draws of the third round, with their weights,
are the posterior. pocoMC alone is too narrow (at 49 dB with 1,024 particles: standard deviations 14 to 43 %
too small, docs/science/inference.md); its effective sample size does not show that, that of the importance
sampling (n_eff) does. The referee shares no code with the project's sampler: its likelihood is written here
from docs/science/eeg.md: jrflow.simulate, baseline correction, averages over blocks, and the covariance of an
average of overlapping epochs. Both are given the same observations, which are drawn here. Where the two
differ, importance sampling from mixtures that are fitted to the draws of each decides.
Needs the extra ``bench``.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from importance import ENOUGH, LogTarget, importance, judgement
from markdown_table import table as markdown
from scipy import sparse
from scipy.linalg import solve_triangular
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier

import jrflow
from jrflow.config.priors import RelativeUniformPrior
from jrflow.config.simulation import SimulationConfig
from jrflow.design import Prior
from jrflow.inference.scoring.targets import TargetPosteriors
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.starts import modes_of_the_nearest
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import Observation
from jrflow.observe.window import Window

STORED = Path(__file__).parents[1] / "docs/results/referee.csv"
PRESETS = ("unit-consistent", "as-published")
#: Noise of one sample of the source estimate, mV, by preset: that of the reference benchmark
#: (examples/benchmark.yaml), whose levels refer to the median size of the responses of 2,048 simulations.
LEVELS = {
    "unit-consistent": {"snr-0": 1.4885, "snr-20": 0.14885, "paper-1": 0.0053668},
    "as-published": {"snr-0": 0.42827, "snr-20": 0.042827, "paper-1": 0.0053668},
}
#: The paper's protocol at 1 kHz, and blocks of 5 ms, as networks of the benchmark see it.
N_EPOCHS, PERIOD, BLOCK = 59, 1000, 5
#: A mean is disputed if it differs by more than this many posterior standard deviations, and a standard
#: deviation if it differs by more than this ratio, both beyond three Monte Carlo errors.
MEAN_DISPUTED, SD_DISPUTED = 0.1, 1.1
#: Effective sample size from which on the judge decides.
DECIDES = 400
#: Draws of each sampler that the classifier is given.
N_DRAWS = 800
#: Cases of a cell that the project's sampler is given at once.
AT_ONCE = 5
#: Particles of the referee; they are doubled, twice at most, while the effective sample size (of importance
#: sampling) is below ENOUGH. And draws of pocoMC as a multiple of them.
N_PARTICLES, N_TOTAL = {"snr-0": 256, "snr-20": 256, "paper-1": 512}, 4


@dataclass(frozen=True)
class Column:
    """One preset: draws from the prior, observations of them, and their likelihood, by the documentation."""

    preset: str
    names: tuple[str, ...]
    default: np.ndarray

    @classmethod
    def of(cls, preset: str) -> Column:
        names = ("A_e", "A_i", "b_e", "b_i", "C", "a_1", "a_2", "a_3", "a_4")
        defaults = jrflow.simulate(preset=preset)
        return cls(preset, names, np.array([float(defaults[name].squeeze()) for name in names]))

    def parameters(self, x: np.ndarray) -> np.ndarray:
        """Parameters, (n, 9), of the referee's coordinates: logarithms of A_e..b_i, C, and C a_1..C a_4.

        The likelihood does not change along C in these coordinates, so that there is no ridge to follow.
        """
        logs = x.copy()
        logs[:, 5:] -= x[:, 4:5]
        return np.exp(logs)

    def coordinates(self, parameters: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`parameters`."""
        x = np.log(parameters)
        x[:, 5:] += x[:, 4:5]
        return x

    def clean(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Block averages of baseline-corrected responses, mV, (n, 200), and which are finite, (n,)."""
        ds = jrflow.simulate(
            dict(zip(self.names, parameters.T, strict=True)), preset=self.preset, precision="float64",
            steady_state_tolerance=1e-10, n_threads=1,
        )  # fmt: skip
        return blocks(ds["source"].values[:, 0]), ds["status"].values == 0


class UniformPrior:
    """Uniform within 50 % of the defaults, in the referee's coordinates; an object as pocoMC expects it."""

    def __init__(self, column: Column, seed: int) -> None:
        self.column, self.rng = column, np.random.default_rng([seed, 1])
        self.dim = len(column.names)
        ends = np.log(np.stack([0.5 * column.default, 1.5 * column.default], axis=1))
        self.bounds = ends.copy()
        self.bounds[5:] += ends[4]

    def rvs(self, size: int) -> np.ndarray:
        """Draw coordinates, (size, 9)."""
        return self.column.coordinates(self.column.default * (0.5 + self.rng.random((size, self.dim))))

    def logpdf(self, x: np.ndarray) -> np.ndarray:
        """Log density, (n,), up to a constant: the Jacobian is the product of all parameters."""
        parameters = self.column.parameters(x)
        inside = (np.abs(parameters / self.column.default - 1) <= 0.5).all(axis=1)
        return np.where(inside, np.log(parameters).sum(axis=1), -np.inf)


def blocks(source: np.ndarray) -> np.ndarray:
    """Subtract the mean of the 201 samples up to the onset; average blocks of the 1,000 after it."""
    corrected = source - source[:, :201].mean(axis=1, keepdims=True)
    averaged: np.ndarray = corrected[:, 201:].reshape(len(source), -1, BLOCK).mean(axis=2)
    return averaged


def noise_root() -> np.ndarray:
    """Cholesky factor of the covariance of averaged noise, after :func:`blocks`; one sample has unit sd."""
    n_times = 1201
    epochs = [
        sparse.eye(n_times, PERIOD * (N_EPOCHS - 1) + n_times, k=PERIOD * epoch) for epoch in range(N_EPOCHS)
    ]
    average = sum(epochs) / np.sqrt(N_EPOCHS)
    reduce = blocks(np.eye(n_times)).T
    return np.linalg.cholesky(reduce @ (average @ average.T).toarray() @ reduce.T)


def by_referee(
    column: Column, log_likelihood: Callable[[np.ndarray], np.ndarray], n_particles: int, seed: int
) -> tuple[np.ndarray, float, int]:
    """Equally weighted draws of parameters, the effective sample size, and likelihood evaluations."""
    import pocomc

    prior = UniformPrior(column, seed)
    sampler = pocomc.Sampler(
        prior, log_likelihood, vectorize=True, precondition=False, n_effective=n_particles,
        n_active=n_particles // 2, random_state=seed,
    )  # fmt: skip
    sampler.run(n_total=N_TOTAL * n_particles, n_evidence=0, progress=False)
    x, weights, *_ = sampler.posterior()
    found = importance(log_posterior(prior, log_likelihood), x, weights, 4 * N_DRAWS, seed)
    return column.parameters(found.draws), found.n_eff, found.n_calls + int(sampler.calls)


def log_posterior(prior: UniformPrior, log_likelihood: Callable[[np.ndarray], np.ndarray]) -> LogTarget:
    """Log posterior density of coordinates (n, 9), up to a constant; -inf outside the prior."""

    def density(x: np.ndarray) -> np.ndarray:
        log_density = prior.logpdf(x)
        inside = np.isfinite(log_density)
        log_density[inside] += log_likelihood(x[inside])
        return log_density

    return density


def by_project(column: Column, observed: np.ndarray, sd: float, seed: int) -> TargetPosteriors:
    """The project's sampler, as jrflow.inference.scoring.reference calls it, on some cases (n, 200)."""
    prior = Prior.of(RelativeUniformPrior(kind="relative-uniform"), column.preset)
    assert prior.names == column.names
    simulation = SimulationConfig()
    timing = simulation.timing
    epoch = Epoch(timing.times, timing.period, window=Window.of(timing.times, timing.sfreq / BLOCK, 0.0))
    noise = EvokedNoise(np.eye(2), timing.n_epochs, timing.times, timing.period)
    observation = Observation.of_sources(epoch, noise, sd)
    likelihood = EvokedLikelihood.of(observed[:, None], observation, prior, simulation)
    starts = modes_of_the_nearest(likelihood, 16384, seed)
    found = exact_posteriors(likelihood, starts, Effort(), seed)
    return TargetPosteriors.of(likelihood.coordinates, found, np.random.default_rng(seed), N_DRAWS // 8)


def with_products(parameters: np.ndarray) -> np.ndarray:
    """Parameters (n, 9) and the products C a_k, (n, 13)."""
    return np.column_stack([parameters, parameters[:, 4:5] * parameters[:, 5:]])


def c2st(one: np.ndarray, other: np.ndarray) -> float:
    """Accuracy of a classifier on held-out draws, .5 for the same distribution (Lopez-Paz & Oquab 2017)."""
    n = min(len(one), len(other), N_DRAWS)
    rng = np.random.default_rng(0)
    both = np.concatenate([d[rng.choice(len(d), n, replace=False)] for d in (one, other)])
    values, axes = np.linalg.eigh(np.cov(np.log(both).T))
    white = (np.log(both) - np.log(both).mean(axis=0)) @ axes / np.sqrt(values)
    label = np.repeat([0, 1], n)
    network = MLPClassifier((30, 30), alpha=1e-2, early_stopping=True, max_iter=200, random_state=0)
    return float(cross_val_score(network, white, label, cv=5).mean())


def compared(preset: str, level: str, n_cases: int, path: Path) -> None:
    """Append the comparison of every case that the file lacks."""
    column, sd = Column.of(preset), LEVELS[preset][level]
    root = noise_root()
    key = 17, PRESETS.index(preset), list(LEVELS[preset]).index(level)
    drawn = [np.random.default_rng([*key, case]) for case in range(n_cases)]
    true = column.default * (0.5 + np.stack([rng.random(9) for rng in drawn]))
    noise = sd * np.stack([rng.standard_normal(len(root)) for rng in drawn]) @ root.T
    observed = column.clean(true)[0] + noise
    done = pd.read_csv(path) if path.exists() else pd.DataFrame({"preset": [], "noise": [], "case": []})
    there = set(done[(done["preset"] == preset) & (done["noise"] == level)]["case"])
    cases = sorted(set(range(n_cases)) - there)
    project = by_project(column, observed[cases], sd, n_cases) if cases else None
    for k, case in enumerate(cases):

        def log_likelihood(x: np.ndarray, case: int = case) -> np.ndarray:
            response, ok = column.clean(column.parameters(x))
            response[~ok] = 0
            white = solve_triangular(root, (observed[case] - response).T / sd, lower=True)
            return np.where(ok, -0.5 * (white**2).sum(axis=0), -1e300)

        assert project is not None
        start, n_calls, n_eff = time.process_time(), 0, 0.0
        for particles in N_PARTICLES[level] * np.array([1, 2, 4]):
            referee, n_eff, n = by_referee(column, log_likelihood, int(particles), case)
            n_calls += n
            if n_eff >= ENOUGH:
                break
        seconds = time.process_time() - start
        draws = project.draws[k, :, :9]
        rows = rows_of(project, k, referee, n_eff).assign(
            judge_mean_z=np.nan, judge_sd_ratio=np.nan, judge_n_eff=np.nan
        )
        if disputed(rows).any():
            target = log_posterior(UniformPrior(column, case), log_likelihood)
            judge = judgement(target, [column.coordinates(x) for x in (draws, referee)], 4 * N_DRAWS, case)
            judged = rows_of(project, k, column.parameters(judge.draws), judge.n_eff)
            rows = rows.assign(
                judge_mean_z=judged["mean_z"], judge_sd_ratio=judged["sd_ratio"], judge_n_eff=judge.n_eff
            )
        rows = rows.assign(
            preset=preset, noise=level, case=case, calls=n_calls, referee_s=seconds, ess=project.ess[k],
            resolved=project.resolved[k], rhat=project.rhat[k], n_eff=n_eff, particles=particles,
            c2st=c2st(referee, draws),
        )  # fmt: skip
        rows.to_csv(path, mode="a", header=not path.exists(), index=False)
        print(preset, level, case, rows[["mean_z", "sd_ratio"]].abs().max().round(2).to_dict(), flush=True)


def disputed(rows: pd.DataFrame, prefix: str = "") -> pd.Series:
    """Which rows differ by more than MEAN_DISPUTED and SD_DISPUTED allow; of the judge with its prefix."""
    mean, sd = rows[f"{prefix}mean_z"], rows[f"{prefix}sd_ratio"]
    error = 3 * rows["mean_error"]
    return (mean.abs() > MEAN_DISPUTED + error) | (np.log(sd).abs() > np.log(SD_DISPUTED) + error)


def rows_of(project: TargetPosteriors, k: int, referee: np.ndarray, n_eff: float) -> pd.DataFrame:
    """Means and standard deviations of case ``k`` beside each other, a row for each parameter and product.

    Distances are in the project's posterior standard deviations, and so are the Monte Carlo errors.
    """
    names = ("A_e", "A_i", "b_e", "b_i", "C", "a_1", "a_2", "a_3", "a_4", "C_1", "C_2", "C_3", "C_4")
    sd, own = np.sqrt(project.variance[k]), with_products(referee)
    return pd.DataFrame(
        {
            "parameter": names,
            "mean_z": (own.mean(axis=0) - project.mean[k]) / sd,
            "mean_error": np.hypot(project.mcse[k], own.std(axis=0) / np.sqrt(n_eff)) / sd,
            "sd_ratio": own.std(axis=0, ddof=1) / sd,
        }
    )


def table(path: Path) -> pd.DataFrame:
    """Medians and 90th percentiles of each preset and level, and the disputed cases by number."""
    rows, cells = pd.read_csv(path), []
    for (preset, noise), cell in rows.groupby(["preset", "noise"], sort=False):
        of_case = cell.groupby("case")
        named = [f"{case:.0f} ({verdict})" for case, verdict in verdicts(cell).items()]
        cells.append(
            {
                "preset": preset, "noise": noise, "cases": of_case.ngroups,
                "resolved": int(of_case["resolved"].first().sum()),
                "mean": quantiles(cell["mean_z"].abs()), "expected": quantiles(0.6745 * cell["mean_error"]),
                "sd ratio": quantiles(cell["sd_ratio"]), "C2ST": quantiles(of_case["c2st"].first()),
                "disputed": ", ".join(named) or "none",
            }
        )  # fmt: skip
    return pd.DataFrame(cells)


def verdicts(cell: pd.DataFrame) -> dict[float, str]:
    """What the judge says of every disputed case of a preset and level."""
    found = {}
    for case, rows in cell[cell["case"].isin(cell[disputed(cell)]["case"])].groupby("case"):
        if rows["judge_n_eff"].iloc[0] < DECIDES:
            found[float(case)] = "undecided"
        else:
            found[float(case)] = (
                f"judged {'against' if disputed(rows, 'judge_').any() else 'for'} the project"
            )
    return found


def quantiles(values: pd.Series) -> str:
    """Median, and 90th percentile."""
    return f"{values.median():.2f}, {values.quantile(0.9):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=20, help="of each preset and noise level")
    parser.add_argument("--table", action="store_true", help="print and store what there is, sample nothing")
    arguments = parser.parse_args()
    path = arguments.folder / "referee.csv"
    if not arguments.table:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            shutil.copy(STORED, path)
        for n in range(AT_ONCE, arguments.cases + AT_ONCE, AT_ONCE):  # all cells grow together
            for preset in PRESETS:
                for level in LEVELS[preset]:
                    compared(preset, level, min(n, arguments.cases), path)
    found = table(path)
    print(markdown(found.columns, found.astype(str).values))
    pd.read_csv(path).round(4).to_csv(STORED, index=False)


if __name__ == "__main__":
    main()
