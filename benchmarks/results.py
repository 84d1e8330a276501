"""docs/results.md from the scores of the reference benchmark, which are stored beside it.

    python benchmarks/results.py results/benchmark   # store a run's scores and times, then write the page
    python benchmarks/results.py                     # the page anew from what is stored

The run is that of examples/benchmark.yaml.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from jrflow.report.published import COLUMNS, PUBLISHED

ROOT = Path(__file__).parents[1]
PAGE, STORED = ROOT / "docs/results.md", ROOT / "docs/results"
#: Limits below which a ratio to them says nothing.
LEAST_LIMIT = 0.1
#: The level of the headline.
HEADLINE = "snr-20"
PARAMETERS = ("A_e", "A_i", "b_e", "b_i", "C", "a_1", "a_2", "a_3", "a_4")
PRESETS = ("as-published", "unit-consistent")

INTRODUCTION = """\
# What can be inferred, by whom, beside what any method could

<!-- Written by benchmarks/results.py from docs/results/*.csv: change those. -->

The run of `examples/benchmark.yaml`: priors of ±50 %, {n_test} test simulations, noise of the averaged
response from -10 to 59 dB (`paper-1`, `paper-0.1`: the paper's covariance times 1 and 0.1), one network
for all levels, which is told the level, {n_seeds} seeds. R² of the nine parameters; the limit is that of
exact posteriors, or Laplace's approximation (docs/science/inference.md says how, and how certain).
"""


def store(run: Path) -> None:
    """Take over a run's scores, and the seconds of its trainings."""
    STORED.mkdir(parents=True, exist_ok=True)
    scores = pd.read_csv(run / "evaluation/scores.csv")
    scores.round(5).to_csv(STORED / "scores.csv", index=False)
    seconds = {
        path.stem: pd.read_csv(path, sep="\t")["s"].iloc[-1]
        for path in sorted((run / "benchmarks/train").glob("*.tsv"))
    }
    times = pd.DataFrame({"training": seconds.keys(), "seconds": seconds.values()})
    times.round(1).to_csv(STORED / "times.csv", index=False)


def page(folder: Path = STORED) -> str:
    """The whole page."""
    scores = pd.read_csv(folder / "scores.csv")
    scores = scores[scores["parameter"].isin(PARAMETERS)]
    networks = scores[~scores["estimator"].isin(["mean", "extra-trees", "paper"])]
    n_seeds = networks.groupby("estimator")["seed"].nunique().max()
    parts = [INTRODUCTION.format(n_test=f"{scores['n'].max():,}", n_seeds=n_seeds), headline(scores)]
    for preset in PRESETS:
        one = scores[scores["preset"] == preset]
        parts += [f"## {preset}\n", shares(one), shortfalls(one), coverage(one)]
    parts += [published(), costs(pd.read_csv(folder / "times.csv"))]
    return "\n".join(parts)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; the first column holds names."""
    names = list(header)
    lines = [names, ["---", *["--:"] * (len(names) - 1)], *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def share_of_limit(scores: pd.DataFrame) -> pd.DataFrame:
    """R² over its limit, of the parameters whose limit says something."""
    known = scores[scores["r2_limit"] > LEAST_LIMIT]
    return known.assign(share=known["r2"] / known["r2_limit"])


def best_of(scores: pd.DataFrame) -> str:
    """The estimator with the largest mean share of the limit."""
    return str(share_of_limit(scores).groupby("estimator")["share"].mean().idxmax())


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
    levels = list(dict.fromkeys(scores.sort_values("snr_db")["noise"]))
    by_seed = found.groupby(["estimator", "noise", "seed"])["share"].mean()
    order = by_seed.groupby("estimator").mean().sort_values(ascending=False).index
    rows = []
    for estimator in order:
        cells = []
        for level in levels:
            values = by_seed.get((estimator, level), pd.Series(dtype=float))
            half = (values.max() - values.min()) / 2
            cells.append("–" if values.empty else f"{values.mean():.3f} ± {half:.3f}")
        rows.append([f"`{estimator}`", *cells])
    text = (
        "R² over the limit, mean of the parameters whose limit exceeds 0.1 (± half the range over seeds):\n\n"
    )
    return text + table(["estimator", *(f"`{level}`" for level in levels)], rows)


def shortfalls(scores: pd.DataFrame) -> str:
    """The best estimator of each level, and the parameter at which it is farthest from the limit."""
    rows = []
    for level in dict.fromkeys(scores.sort_values("snr_db")["noise"]):
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="folder of a run, whose scores are stored")
    arguments = parser.parse_args()
    if arguments.run:
        store(arguments.run)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
