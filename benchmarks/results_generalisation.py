"""The section of docs/results.md about recordings unlike the training."""

from __future__ import annotations

import pandas as pd
from markdown_table import table

#: Coverage of 90 % intervals below which a network is confidently wrong; share above which users are warned.
CONFIDENTLY_WRONG, WARNED = 0.8, 0.5
AS_TRAINED = ("0 dB", "20 dB", "30 dB")
OUT_OF_RANGE = """\
## Out of the range it was trained in

Networks of all levels, at 20 dB unless a row says otherwise: mean R² of the nine parameters, coverage of
90 % intervals, and χ² per degree of freedom of what the re-simulated estimate leaves (of `npe`: its draws).
Then who would notice, over all networks: recordings that no parameters fit (by a search from the estimate;
a few in a hundred by chance), which of the first twenty `jrflow infer` calls explained by the model (asked of
{asked}), and whether it calls the noise one that was met in training. These verdicts and judgements of noise
are those of version 0.1; for false alarms and power of the present verdict see
[the science page](science/inference.md).

"""


def generalisation(table_: pd.DataFrame) -> str:
    """What networks say of recordings unlike their training, and whether anybody is warned."""
    known = table_["estimator"].notna()
    scored, refused = table_[known].astype({"in_range": float}), table_[~known]
    special = scored["estimator"].str.endswith(" only")
    asked = scored.loc[scored["by_model"].notna(), "estimator"].unique()
    lines = [f"- {row.condition}: “{row.message}”\n" for row in refused.itertuples()]
    return (
        OUT_OF_RANGE.format(asked=", ".join(f"`{name}`" for name in asked))
        + f"{_conditions(scored[~special])}\n{_findings(scored[~special])}\n"
        + (f"Trained at one level, tested at others:\n\n{_specialist(scored)}\n" if special.any() else "")
        + ("".join(["Refused:\n\n", *lines, "\n"]) if lines else "")
    )


def _conditions(scored: pd.DataFrame) -> str:
    estimators, rows = list(dict.fromkeys(scored["estimator"])), []
    for condition, group in scored.groupby("condition", sort=False):
        cells = []
        for one in (group[group["estimator"] == name] for name in estimators):
            r2, covered, chi2 = one[["r2_mean", "coverage_90", "misfit"]].mean()
            cells += [f"{r2:.2f}", f"{covered:.2f}", f"{chi2:.2g}" if chi2 < 100 else f"{chi2:.3g}"]
        explained = "" if group["by_model"].isna().all() else f"{group['by_model'].mean():.0%}"
        known = "yes" if group["in_range"].all() else "no"
        rows.append([str(condition), *cells, f"{group['flagged'].mean():.0%}", explained, known])
    columns = [text for name in estimators for text in (f"`{name}` R²", "90 %", "χ²")]
    return table(["condition", *columns, "no fit", "explained", "noise known"], rows)


def _findings(scored: pd.DataFrame) -> str:
    """Who is confidently wrong, which of the warnings tells, and how often they tell of nothing."""
    means = scored.groupby("condition", sort=False)[["coverage_90", "flagged", "by_model", "in_range"]].mean()
    wrong, usual = means[means["coverage_90"] < CONFIDENTLY_WRONG], means[means.index.isin(AS_TRAINED)]
    warnings = {
        "the misfit of the best fit": wrong["flagged"] > WARNED,
        "the verdict of `jrflow infer`": wrong["by_model"] < 1 - WARNED,
        "the range of the noise": wrong["in_range"] < 1 - WARNED,
    }
    silent = "; ".join(wrong.index[~pd.DataFrame(warnings).any(axis=1)]) or "none"
    verdicts = ", ".join(f"{1 - share:.0%} at {name}" for name, share in usual["by_model"].items())
    mute = scored.loc[scored["no_answer"].idxmax()]
    return (
        f"Under {len(wrong)} of {len(means)} conditions the networks are confidently wrong: their 90 % "
        f"intervals cover less than {CONFIDENTLY_WRONG:.0%}. Of these, "
        + ", ".join(f"{name} tells {seen.sum()}" for name, seen in warnings.items())
        + f".\nConfidently wrong, and no warning for most: {silent}.\n"
        f"Where all is as in training, the best fit raises a false alarm for {usual['flagged'].max():.0%} at "
        f"most, the verdict for {verdicts}. `{mute['estimator']}` has no answer where all that it draws is "
        f"impossible: to {mute['no_answer']:.0%} at most ({mute['condition']}); scores are of the rest.\n"
    )


def _specialist(scored: pd.DataFrame) -> str:
    levels = list(dict.fromkeys(scored["condition"][scored["estimator"].str.endswith(" only")]))
    rows = [
        [f"`{name}`", *(f"{row.r2_mean:.2f} / {row.coverage_90:.2f}" for row in group.itertuples())]
        for name, group in scored[scored["condition"].isin(levels)].groupby("estimator", sort=False)
    ]
    return table(["mean R² / coverage", *levels], rows)
