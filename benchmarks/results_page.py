"""The text of docs/results.md, from what was stored of the runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from markdown_table import table
from results_generalisation import generalisation

from jrflow.inference.scoring.refinement import SUFFIX
from jrflow.report.published import COLUMNS, PUBLISHED

#: What was stored of the runs.
STORED = Path(__file__).parents[1] / "docs/results"
#: Limits below which a ratio to them says nothing.
LEAST_LIMIT = 0.1
#: The level of the headline.
HEADLINE = "snr-20"
#: The network of the headline, the one that is trained longest.
HEADLINE_NETWORK = "bilstm-tuned"
PARAMETERS = ("A_e", "A_i", "b_e", "b_i", "C", "a_1", "a_2", "a_3", "a_4")
PRESETS = ("as-published", "unit-consistent")
BASELINES = ("mean", "extra-trees", "paper")

INTRODUCTION = """\
# Accuracy of each estimator, compared with the limit of any method

<!-- Written by benchmarks/results.py from docs/results/*.csv: change those. -->

{certainty}

The run of `examples/benchmark.yaml`: priors of ±50 %, {n_test} test simulations, noise of the averaged
response from -10 to 59 dB (`paper-1`, `paper-0.1`: the paper's covariance times 1 and 0.1; 49 and 59 dB for
`unit-consistent`). One network serves all levels and is conditioned on the noise level. {n_seeds} training
runs of each network, each with its own seed. R² of the nine parameters. The limit comes from reference
posteriors, sampled on the exact likelihood. An independent sampler checks the sampler case by case
([method](science/inference.md), `benchmarks/referee.py`).

Limits and refined estimates come from Markov chains alone. Since then, importance sampling resolves most of
the cases that are unresolved here ([counts](science/inference.md)). One seed of `mlp` is of the present
version; the other networks were trained with version 0.1 on the same simulations and noise levels.
"""
REFINED = """
`<network>+exact` starts the sampler of the reference posteriors, with less effort, from a network's
estimates, and reports the posterior mean. `nearest+exact` is its control: it starts from the nearest
simulations of the prior, without a network. What a network contributes to `+exact` is the difference
between the two.
"""
DOUBTFUL = """\
**Where the limit is uncertain.** A reference posterior counts as unresolved if
{criterion}. Where this holds for
more than {uncertain:.0%} of the cases, the limit is uncertain by more than its standard error, and so is
every share of it: {named}."""
MEASURED = """
**Measured on all test simulations.** R² over the limit, mean of the parameters whose limit exceeds 0.1 (±
half the range over seeds, where there are several):

"""
COMPARED = """
**Compared with reference posteriors of the same observations.** One formula serves every estimator: the limit
less its excess, over the limit. The excess is the mean of (m − m_ref)² − MCSE², over the prior variance; m is
the estimate, m_ref the mean of the reference posterior, MCSE the Monte Carlo standard error of m_ref. The
formula is unbiased: neither the error of m_ref nor the luck of the test simulations counts for or against an
estimator. Mean of the parameters whose limit exceeds 0.1 ± standard error (at most), and the number of cases:
unresolved cases are left out, which may favour every estimator.

"""
BEHIND = """
R² measured on these cases. In parentheses: how far it is behind R² of the reference posteriors' own means,
measured on the same cases (± standard error of the paired difference, at most; below 0 is ahead, by chance):

"""
#: Share of unresolved reference posteriors above which the limit of a level counts as uncertain.
UNCERTAIN = 0.05


def page(folder: Path = STORED) -> str:
    """The whole page."""
    scores = pd.read_csv(folder / "scores.csv")
    scores = scores[scores["parameter"].isin(PARAMETERS)]
    levels = levels_of(scores)
    limits = pd.read_csv(folder / "limits.csv").sort_values(
        "noise", key=lambda names: names.map(levels.index), kind="stable"
    )
    networks = scores[~scores["estimator"].isin(BASELINES) & ~is_refined(scores)]
    n_seeds = sorted(set(networks.groupby(["estimator", "preset"])["seed"].nunique()))
    known = {
        "certainty": certainty(limits), "n_test": f"{scores['n'].max():,}",
        "n_seeds": f"{n_seeds[0]} to {n_seeds[-1]}" if len(n_seeds) > 1 else n_seeds[0],
    }  # fmt: skip
    parts = [INTRODUCTION.format(**known)]
    if is_refined(scores).any():
        parts.append(REFINED)
    parts.append(headline(scores))
    for preset in PRESETS:
        one = scores[scores["preset"] == preset]
        parts += [f"## {preset}\n", limit_of(limits[limits["preset"] == preset])]
        parts += [measured(one), compared(one), coverage(one)]
    if (folder / "specialists.csv").exists():
        parts.append(specialists(pd.read_csv(folder / "specialists.csv")))
    if (folder / "learning_curve.csv").exists():
        parts.append(learning_curve(pd.read_csv(folder / "learning_curve.csv")))
    parts.append(generalisation(pd.read_csv(folder / "generalisation.csv")))
    parts += [published(), costs(pd.read_csv(folder / "times.csv"))]
    return "\n".join(parts)


def certainty(limits: pd.DataFrame) -> str:
    """Where the limit itself is uncertain, because reference posteriors are not resolved."""
    share = limits.groupby(["preset", "noise"], sort=False)["unresolved"].first()
    doubtful = share[share > UNCERTAIN]
    if doubtful.empty:
        return f"**The limit is resolved at every level** (unresolved cases: at most {share.max():.0%})."
    criterion = " or ".join(dict.fromkeys(limits["criterion"]))
    named = "; ".join(
        f"{preset}: " + ", ".join(f"`{level}` {value:.0%}" for (_, level), value in one.items())
        for preset, one in doubtful.groupby("preset")
    )
    return DOUBTFUL.format(criterion=criterion, uncertain=UNCERTAIN, named=named)


def is_refined(scores: pd.DataFrame) -> pd.Series:
    """Which rows are of estimates that were refined by the exact likelihood."""
    return scores["estimator"].str.endswith(SUFFIX)


def share_of_limit(scores: pd.DataFrame) -> pd.DataFrame:
    """R² over its limit, of the parameters whose limit says something."""
    known = scores[scores["r2_limit"] > LEAST_LIMIT]
    return known.assign(share=known["r2"] / known["r2_limit"])


def levels_of(scores: pd.DataFrame) -> list[str]:
    """Noise levels, from the lowest signal-to-noise ratio to the highest."""
    return list(dict.fromkeys(scores.sort_values("snr_db")["noise"]))


def limit_of(limits: pd.DataFrame) -> str:
    """The limit at every level, its standard error, and Laplace's approximation."""
    rows = [
        [f"`{level}`", *(_limit(one.loc[name]) for name in PARAMETERS), f"{one['unresolved'].iloc[0]:.0%}"]
        for level, one in limits.set_index("parameter").groupby("noise", sort=False)
    ]
    cases = f"{limits['n_exact'].iloc[0]:.0f}"
    text = (
        f"R² that no method exceeds on average: from {cases} reference posteriors ± standard error over "
        "cases\n(Laplace's approximation); and the share of unresolved cases:\n\n"
    )
    return text + table(["level", *(f"`{name}`" for name in PARAMETERS), "unresolved"], rows)


def _limit(row: pd.Series) -> str:
    return f"{row['r2_limit']:.3f} ± {row['r2_limit_se']:.3f} ({row['r2_laplace']:.2f})"


def headline(scores: pd.DataFrame) -> str:
    """As published and unit-consistent, at one level, measured on all test simulations."""
    level = scores[(scores["noise"] == HEADLINE) & (scores["estimator"] == HEADLINE_NETWORK)]
    rows = []
    for preset in PRESETS:
        means = level[level["preset"] == preset].groupby("parameter")[["r2", "r2_limit"]].mean()
        for name, column in ((f"{preset}: limit", "r2_limit"), (f"{preset}: {HEADLINE_NETWORK}", "r2")):
            rows.append([name, *(f"{means.loc[p, column]:.2f}" for p in PARAMETERS)])
    text = (
        "\nAs published, no method can recover the connectivities: the paper's negative result follows from "
        "its\nunits. With consistent units they can be recovered. R² at 20 dB, on all test simulations:\n\n"
    )
    return text + table(["R²", *(f"`{p}`" for p in PARAMETERS)], rows)


def measured(scores: pd.DataFrame) -> str:
    """Share of the limit of R² measured on all test simulations, by estimator and level."""
    found = share_of_limit(scores[~is_refined(scores)])
    by_seed = found.groupby(["estimator", "noise", "seed"])["share"].mean()
    order = by_seed.groupby("estimator").mean().sort_values(ascending=False).index
    levels, rows = levels_of(scores), []
    for estimator in order:
        cells = []
        for level in levels:
            values = by_seed.get((estimator, level), pd.Series(dtype=float))
            half = f" ± {(values.max() - values.min()) / 2:.3f}" if len(values) > 1 else ""
            cells.append("–" if values.empty else f"{values.mean():.3f}{half}")
        rows.append([f"`{estimator}`", *cells])
    return MEASURED + table(["estimator", *(f"`{level}`" for level in levels)], rows)


def compared(scores: pd.DataFrame) -> str:
    """Estimators beside reference posteriors of the same observations, all by one formula."""
    if "excess" not in scores:
        return ""
    found = share_of_limit(scores.dropna(subset=["excess"]))
    if found.empty:
        return ""
    levels = [level for level in levels_of(scores) if level in set(found["noise"])]
    at = [found["estimator"], found["noise"]]
    # Errors of parameters are averaged as if they were fully correlated, which is an upper bound.
    columns = {
        "share": 1 - found["excess"] / found["r2_limit"],
        "share_se": found["excess_se"] / found["r2_limit"],
        "r2": found["r2_compared"], "behind": found["r2_behind"], "behind_se": found["r2_behind_se"],
        "n": found["n_compared"],
    }  # fmt: skip
    mean = pd.DataFrame({name: values.groupby(at).mean() for name, values in columns.items()})
    order = mean["share"].groupby("estimator").mean().sort_values(ascending=False).index

    def table_of(cell: Callable[[pd.Series], str]) -> str:
        rows = [
            [f"`{name}`", *(cell(mean.loc[name, v]) if (name, v) in mean.index else "–" for v in levels)]
            for name in order
        ]
        return table(["estimator", *(f"`{level}`" for level in levels)], rows)

    shares = table_of(lambda r: f"{r['share']:.3f} ± {r['share_se']:.3f} ({r['n']:.0f})")
    behind = table_of(lambda r: f"{r['r2']:.3f} ({r['behind']:+.3f} ± {r['behind_se']:.3f})")
    return COMPARED + shares + BEHIND + behind + least(found)


def least(found: pd.DataFrame) -> str:
    """The parameter at which each compared estimator is farthest from the limit, over all levels."""
    share = (1 - found["excess"] / found["r2_limit"]).rename("share")
    error = (found["excess_se"] / found["r2_limit"]).rename("se")
    both = found[["estimator", "noise", "parameter"]].join([share, error])
    worst = both.loc[both.groupby("estimator")["share"].idxmin()].sort_values("share", ascending=False)
    rows = [
        [f"`{r.estimator}`", f"`{r.parameter}`", f"`{r.noise}`", f"{r.share:.3f} ± {r.se:.3f}"]
        for r in worst.itertuples()
    ]
    return "\nFarthest from the limit:\n\n" + table(["estimator", "parameter", "level", "its share"], rows)


def coverage(scores: pd.DataFrame) -> str:
    """Coverage of 90 % intervals: mean and range over parameters, by estimator."""
    given = scores.dropna(subset=["coverage_90"])
    n = given.groupby("estimator")["n"].max()
    mean = given.groupby(["estimator", "parameter"])["coverage_90"].mean()
    rows = [
        [f"`{estimator}`", f"{n[estimator]:,}", f"{v.mean():.3f}", f"{v.min():.3f}", f"{v.max():.3f}"]
        for estimator, v in mean.groupby("estimator")
    ]
    header = ["coverage of 90 % intervals", "simulations", "mean", "least parameter", "most"]
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
