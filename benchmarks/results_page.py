"""The text of docs/results.md, from what was stored of the runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from markdown_table import table
from results_generalisation import generalisation

from jrflow.inference.refinement import SUFFIX
from jrflow.report.published import COLUMNS, PUBLISHED

#: What was stored of the runs.
STORED = Path(__file__).parents[1] / "docs/results"
#: Limits below which a ratio to them says nothing.
LEAST_LIMIT = 0.1
#: The level of the headline.
HEADLINE = "snr-20"
PARAMETERS = ("A_e", "A_i", "b_e", "b_i", "C", "a_1", "a_2", "a_3", "a_4")
PRESETS = ("as-published", "unit-consistent")
BASELINES = ("mean", "extra-trees", "paper")

INTRODUCTION = """\
# What can be inferred, by whom, beside what any method could

<!-- Written by benchmarks/results.py from docs/results/*.csv: change those. -->

The run of `examples/benchmark.yaml`: priors of ±50 %, {n_test} test simulations, noise of the averaged
response from -10 to 59 dB (`paper-1`, `paper-0.1`: the paper's covariance times 1 and 0.1), one network
for all levels, which is told the level; {n_seeds} trainings of each network, each with a seed of its own. R²
of the nine parameters. The limit is that of exact posteriors; [how these are found](science/inference.md).

`+exact` is a network followed by the exact likelihood, from where its estimates lead. Of {n_refined}
simulations its estimates are refined. Of the same observations the exact posterior, found without a
network, is at hand, and both err alike: so its R² is the limit of what it sees (averages of samples, which
lose .00 to .02 of R²), less what it errs more than the exact posterior's mean. Above 1 a share says that
one of the two samplers was not done, or the error of so few.
"""


def page(folder: Path = STORED) -> str:
    """The whole page."""
    scores = pd.read_csv(folder / "scores.csv")
    scores = scores[scores["parameter"].isin(PARAMETERS)]
    # What refined estimates scored on the few says more of these few.
    few = is_refined(scores)
    scores = scores.assign(r2=scores["r2"].where(~few, scores["r2_limit"] - scores["excess"]))
    networks = scores[~scores["estimator"].isin(BASELINES)]
    n_seeds = sorted(set(networks.groupby(["estimator", "preset"])["seed"].nunique()))
    known = {
        "n_test": f"{scores['n'].max():,}", "n_refined": scores["n"].min(),
        "n_seeds": f"{n_seeds[0]} to {n_seeds[-1]}" if len(n_seeds) > 1 else n_seeds[0],
    }  # fmt: skip
    parts = [INTRODUCTION.format(**known), headline(scores)]
    limits = pd.read_csv(folder / "limits.csv")
    for preset in PRESETS:
        one = scores[scores["preset"] == preset]
        parts += [f"## {preset}\n", limit_of(limits[limits["preset"] == preset])]
        parts += [shares(one), shortfalls(one), coverage(one)]
    if (folder / "specialists.csv").exists():
        parts.append(specialists(pd.read_csv(folder / "specialists.csv")))
    if (folder / "learning_curve.csv").exists():
        parts.append(learning_curve(pd.read_csv(folder / "learning_curve.csv")))
    parts.append(generalisation(pd.read_csv(folder / "generalisation.csv")))
    parts += [published(), costs(pd.read_csv(folder / "times.csv"))]
    return "\n".join(parts)


def is_refined(scores: pd.DataFrame) -> pd.Series:
    """Which rows are of estimates that were refined by the exact likelihood."""
    return scores["estimator"].str.endswith(SUFFIX)


def share_of_limit(scores: pd.DataFrame) -> pd.DataFrame:
    """R² over its limit, of the parameters whose limit says something."""
    known = scores[scores["r2_limit"] > LEAST_LIMIT]
    return known.assign(share=known["r2"] / known["r2_limit"])


def best_of(scores: pd.DataFrame) -> str:
    """The estimator with the largest mean share of the limit."""
    return str(share_of_limit(scores).groupby("estimator")["share"].mean().idxmax())


def levels_of(scores: pd.DataFrame) -> list[str]:
    """Noise levels, the loudest first."""
    return list(dict.fromkeys(scores.sort_values("snr_db")["noise"]))


def limit_of(limits: pd.DataFrame) -> str:
    """The limit at every level, how certain it is, and what Laplace's approximation makes of it."""
    rows = [
        [f"`{level}`", *(_limit(one.loc[name]) for name in PARAMETERS)]
        for level, one in limits.set_index("parameter").groupby("noise", sort=False)
    ]
    unmixed = limits.groupby("noise", sort=False)["unmixed"].first()
    text = "R² that no method exceeds on average: exact ± standard error (Laplace's approximation):\n\n"
    cases = (
        f"\nExact posteriors of {limits['n_exact'].iloc[0]:.0f} cases at each level; of these the chains of "
        + ", ".join(f"{share:.0%} (`{level}`)" for level, share in unmixed.items())
        + " do not agree (R-hat\nabove 1.2), and their means are less certain.\n"
    )
    return text + table(["level", *(f"`{name}`" for name in PARAMETERS)], rows) + cases


def _limit(row: pd.Series) -> str:
    return f"{row['r2_limit']:.3f} ± {row['r2_limit_se']:.3f} ({row['r2_laplace']:.2f})"


def headline(scores: pd.DataFrame) -> str:
    """As published and unit-consistent, at one level."""
    level = scores[scores["noise"] == HEADLINE]
    rows = []
    for preset in PRESETS:
        one = level[level["preset"] == preset]
        best = best_of(one)
        means = one[one["estimator"] == best].groupby("parameter")[["r2", "r2_limit"]].mean()
        for name, column in ((f"{preset}: limit", "r2_limit"), (f"{preset}: {best}", "r2")):
            rows.append([name, *(f"{means.loc[p, column]:.2f}" for p in PARAMETERS)])
    text = (
        "\nAs published, the connectivities are out of reach of any method, and the paper's negative result "
        "is a property of its units; in consistent units they are within reach. At 20 dB:\n\n"
    )
    return text + table(["R²", *(f"`{p}`" for p in PARAMETERS)], rows)


def shares(scores: pd.DataFrame) -> str:
    """Mean share of the limit by estimator and level, over parameters and seeds."""
    found = share_of_limit(scores)
    levels = levels_of(scores)
    by_seed = found.groupby(["estimator", "noise", "seed"])["share"].mean()
    # Errors of parameters are added as if they went together, which they do in part.
    few = found[is_refined(found)]
    errors = (few["excess_se"] / few["r2_limit"]).groupby([few["estimator"], few["noise"]]).mean()
    order = by_seed.groupby("estimator").mean().sort_values(ascending=False).index
    rows = []
    for estimator in order:
        cells = []
        for level in levels:
            values = by_seed.get((estimator, level), pd.Series(dtype=float))
            error = errors.get((estimator, level), np.nan)
            half = (values.max() - values.min()) / 2 if np.isnan(error) and len(values) > 1 else error
            certainty = "" if np.isnan(half) else f" ± {half:.3f}"
            cells.append("–" if values.empty else f"{values.mean():.3f}{certainty}")
        rows.append([f"`{estimator}`", *cells])
    text = (
        "\nR² over the limit, mean of the parameters whose limit exceeds 0.1 (± half the range over seeds,\n"
        "where there are several; of `+exact` the standard error of the difference, at most):\n\n"
    )
    header = ["estimator", *(f"`{level}`" for level in levels)]
    return text + table(header, rows) + by_gain(found, levels) + by_distance(found, levels)


def by_gain(found: pd.DataFrame, levels: list[str]) -> str:
    """What refined estimates have of the limit if their gain is counted from the network's R²."""
    share, error = (
        (found[column] / found["r2_limit"]).groupby(found["noise"]).mean()
        for column in ("r2_gain", "r2_gain_se")
    )
    said = ", ".join(f"{share[level]:.2f} ± {error[level]:.2f} (`{level}`)" for level in levels)
    return (
        "\nCounted from the R² of the network on all simulations, by what refinement gains on the few,\n"
        f"the shares of `+exact` are less certain, and with the limit's own error (above) the same: {said}.\n"
    )


def by_distance(found: pd.DataFrame, levels: list[str]) -> str:
    """What networks have of the limit by their distance from exact posteriors of the same observations."""
    known = found[~is_refined(found)].dropna(subset=["excess"])
    if known.empty:
        return ""
    at = [known["estimator"], known["noise"]]
    share = (1 - known["excess"] / known["r2_limit"]).groupby(at).mean()
    error = (known["excess_se"] / known["r2_limit"]).groupby(at).mean()
    cells = pd.Series([f"{share[k]:.3f} ± {error[k]:.3f}" for k in share.index], share.index).unstack()
    order = share.groupby("estimator").mean().sort_values(ascending=False).index
    rows = [[f"`{estimator}`", *cells.loc[estimator].reindex(levels, fill_value="–")] for estimator in order]
    text = (
        "\nBeside exact posteriors of the same observations: the limit, less the mean square distance of a\n"
        "network's estimates from their means (± standard error, at most; first seed). The luck of the test\n"
        "simulations is not in it; the error of the exact posteriors' own means is, and counts against the\n"
        "network:\n\n"
    )
    return text + table(["estimator", *(f"`{level}`" for level in levels)], rows)


def shortfalls(scores: pd.DataFrame) -> str:
    """The best estimator of each level, and the parameter at which it is farthest from the limit."""
    rows = []
    for level in levels_of(scores):
        one = scores[scores["noise"] == level]
        best = best_of(one)
        share = share_of_limit(one[one["estimator"] == best]).groupby("parameter")["share"].mean()
        worst = share.idxmin()
        rows.append([f"`{level}`", f"`{best}`", f"{share.mean():.3f}", f"`{worst}`", f"{share.min():.3f}"])
    header = ["level", "best estimator", "mean share of the limit", "least", "its share"]
    return "\n" + table(header, rows)


def coverage(scores: pd.DataFrame) -> str:
    """Coverage of 90 % intervals: mean and range over parameters, by estimator."""
    given = scores.dropna(subset=["coverage_90"]).groupby(["estimator", "parameter"])["coverage_90"].mean()
    rows = [
        [f"`{estimator}`", f"{values.mean():.3f}", f"{values.min():.3f}", f"{values.max():.3f}"]
        for estimator, values in given.groupby("estimator")
    ]
    header = ["coverage of 90 % intervals", "mean", "least parameter", "most"]
    return "\n" + table(header, rows)


def specialists(scores: pd.DataFrame) -> str:
    """Mean R² over the parameters of one network for all levels, and of networks that met one."""
    scores = scores[scores["parameter"].isin(PARAMETERS)]
    levels = list(dict.fromkeys(scores["noise"]))
    mean = scores.groupby(["trained_at", "n_presentations", "noise"])["r2"].mean()
    rows = [
        [trained_at, f"{shown:,}", *(f"{one[trained_at, shown, level]:.3f}" for level in levels)]
        for (trained_at, shown), one in mean.groupby(["trained_at", "n_presentations"])
    ]
    text = (
        "## One network for all levels, or one for each\n\n"
        f"R² of `{scores['estimator'].iloc[0]}`, mean of the nine parameters, unit-consistent, one seed, on\n"
        "the same observations:\n\n"
    )
    return text + table(["trained at", "shown", *(f"`{level}`" for level in levels)], rows)


def learning_curve(scores: pd.DataFrame) -> str:
    """Mean R² over the parameters, by the number of simulations."""
    scores = scores[scores["parameter"].isin(PARAMETERS)]
    levels = list(dict.fromkeys(scores["noise"]))
    runs = scores.groupby(["n_simulations", "n_presentations"])
    rows = []
    for (simulations, presentations), run in runs:
        mean, a_e = (each.groupby("noise")["r2"].mean() for each in (run, run[run["parameter"] == "A_e"]))
        cells = [f"{mean[level]:.3f} ({a_e[level]:.2f})" for level in levels]
        rows.append([f"{simulations:,}", f"{presentations:,}", *cells])
    text = (
        "## What more simulations buy\n\n"
        "R² of the `mlp`, mean of the nine parameters (of `A_e`), unit-consistent, one seed:\n\n"
    )
    header = ["simulations", "shown", *(f"`{level}`" for level in levels)]
    return text + table(header, rows)


def published() -> str:
    """What the paper's repository reports."""
    rows = [[r.estimator, r.where, r.noise, *r.correlations, r.contacts] for r in PUBLISHED]
    header = ["estimator", "from", "noise", *(f"`{name}`" for name in COLUMNS), "`a_1` to `a_4`"]
    return "## The paper's figures\n\nPearson correlations, as found:\n\n" + table(header, rows)


def costs(times: pd.DataFrame) -> str:
    """Seconds of a training, by network."""
    name = times["training"].str.replace(r"-seed-\d+$", "", regex=True)
    rows = [
        [f"`{training}`", f"{values.min():.0f} to {values.max():.0f}"]
        for training, values in times.groupby(name, sort=False)["seconds"]
    ]
    return "## What it cost\n\n" + table(["training", "s, one core of two shared ones"], rows)
