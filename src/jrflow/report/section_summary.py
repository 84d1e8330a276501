"""The findings in a few sentences, every number taken from the results."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from jrflow.model.parameters import INFERRED
from jrflow.report.content import Block, Section, missing, number, percent, symbols, text
from jrflow.report.inputs import RunResults
from jrflow.report.scores import (
    SMALLEST_LIMIT,
    best_estimator,
    estimators,
    mean_over_seeds,
    middle_noise,
    one_level,
)
from jrflow.report.section_model import LOOP
from jrflow.report.style import ESTIMATOR_NAMES

#: Verdicts on a measured response, from best to worst.
VERDICTS = ("explained", "partly explained", "not explained")


def summary_section(run: RunResults) -> Section:
    """Say what was found."""
    blocks: list[Block] = [
        *_simulated(run), *_effects(run), *_recovered(run), *_unrecoverable(run), *_learned(run),
        *_explained(run),
    ]  # fmt: skip
    if not blocks:
        blocks.append(missing("There are no results yet."))
    return Section("summary", "In short", blocks)


def _simulated(run: RunResults) -> Iterator[Block]:
    if run.manifests:
        total = sum(m["n_simulations"] for m in run.manifests.values())
        failed = total - sum(m["counts"]["ok"] for m in run.manifests.values())
        yield text(
            "<b>{total}</b> simulations in {n} campaigns; {failed} of them failed.",
            total=f"{total:,}", n=len(run.manifests), failed=f"{failed:,}" if failed else "none",
        )  # fmt: skip


def _effects(run: RunResults) -> Iterator[Block]:
    """What C and the contact probabilities do to the evoked response, preset by preset."""
    found = []
    for preset in run.presets:
        maps = run.one_at_a_time(preset)
        loop = [] if maps is None else [name for name in LOOP if name in maps["parameter"].values]
        if maps is not None and loop:
            largest = maps["effect"].sel(parameter=loop).max("end")
            found.append(
                Markup("{} to {} in the <b>{}</b> preset").format(
                    percent(float(largest.min())), percent(float(largest.max())), preset
                )
            )
    if found:
        yield text(
            "Moving one of {names} to the end of its range changes the evoked response by {found}.",
            names=symbols(LOOP), found=Markup(", but by ").join(found),
        )  # fmt: skip


def _recovered(run: RunResults) -> Iterator[Block]:
    """How far each preset's network gets, against the limit and the baselines."""
    if run.scores is None:
        return
    scores, noise = mean_over_seeds(run.scores), middle_noise(run.scores)
    for preset in scores["preset"].unique():
        rows = one_level(scores, preset, noise)
        rows = rows[rows["parameter"].isin(INFERRED)]
        means = rows.groupby("estimator")["r2"].mean()
        best = best_estimator(rows)
        limit = rows[rows["estimator"] == best]["r2_limit"].mean()
        others = ", ".join(
            f"{ESTIMATOR_NAMES.get(e, e)} {number(means[e])}" for e in estimators(rows) if e != best
        )
        yield text(
            "<b>{preset}</b>, noise {noise} ({snr} dB): mean R² over {n} parameters {r2} for {name}, "
            "{share} of the limit of {limit} ({others}).",
            preset=preset, noise=noise, snr=number(rows["snr_db"].median(), 1),
            n=rows["parameter"].nunique(), r2=number(means[best]), name=ESTIMATOR_NAMES.get(best, best),
            share=percent(means[best] / limit) if limit > SMALLEST_LIMIT else "–", limit=number(limit),
            others=others or "no baselines",
        )  # fmt: skip


def _unrecoverable(run: RunResults) -> Iterator[Block]:
    """Parameters that no method can find, by preset."""
    if run.scores is None:
        return
    scores = run.scores[run.scores["parameter"].isin(INFERRED)]
    for preset, rows in scores.groupby("preset", sort=False):
        best = rows.groupby("parameter")["r2_limit"].max()
        hopeless = [name for name in INFERRED if name in best.index and best[name] < SMALLEST_LIMIT]
        if hopeless:
            yield text(
                "<b>{preset}</b>: {names} cannot be found by any method at any noise level here (limit of "
                "R² below {limit}).",
                preset=preset, names=symbols(hopeless), limit=SMALLEST_LIMIT,
            )  # fmt: skip


def _learned(run: RunResults) -> Iterator[Block]:
    """More simulations against more epochs, as a difference of mean R2."""
    if run.learning_curve is None:
        return
    curve = run.learning_curve[run.learning_curve["parameter"].isin(INFERRED)]
    mean = curve.groupby(["n_presentations", "n_simulations"])["r2"].mean()
    usual, longest = curve["n_presentations"].min(), curve["n_presentations"].max()
    fewest, most = curve["n_simulations"].min(), curve["n_simulations"].max()
    start = mean[usual, fewest]
    yield text(
        "From {fewest} training simulations, {x} times as many raise the mean R² by {more}; {y} times as "
        "many epochs over the same ones change it by {longer}.",
        fewest=f"{int(fewest):,}", x=f"{most / fewest:.3g}", more=number(mean[usual, most] - start, 3),
        y=f"{longest / usual:.3g}", longer=Markup(number(mean[longest, fewest] - start, 3)),
    )  # fmt: skip


def _explained(run: RunResults) -> Iterator[Block]:
    """Verdicts on measured responses."""
    if run.estimates is None:
        return
    fits = [response["best_fit"] for response in run.estimates["responses"]]
    counts = [f"{sum(fit['verdict'] == verdict for fit in fits)} {verdict}" for verdict in VERDICTS]
    best = max(fit["explained"] for fit in fits)
    yield text(
        "<b>Recordings</b>: of {n} measured responses, {counts} by the model; the best fit of all explains "
        "{best} of the measured power.",
        n=len(fits), counts=", ".join(counts), best=percent(best) if best > 0 else "nothing",
    )  # fmt: skip
