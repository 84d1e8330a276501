"""Summary of the results in a few sentences; all numbers are taken from the results."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from jrflow.inference.recordings.verdict import VERDICTS, headline
from jrflow.report.content import Block, Section, missing, number, percent, symbols, text
from jrflow.report.inputs import RunResults
from jrflow.report.scores import (
    SMALLEST_LIMIT,
    best_estimator,
    estimators,
    mean_over_seeds,
    middle_noise,
    one_level,
    partly_tested,
    single_parameters,
)
from jrflow.report.section_calibration import diagnosed, reference_posteriors
from jrflow.report.section_model import LOOP
from jrflow.report.style import estimator_name
from jrflow.report.trust import answers, in_short, unresolved_share


def summary_section(run: RunResults) -> Section:
    """Summarise the results."""
    blocks: list[Block] = [
        *_simulated(run), *_effects(run), *_recovered(run), *_unrecoverable(run), *_trusted(run),
        *_learned(run), *_explained(run),
    ]  # fmt: skip
    if not blocks:
        blocks.append(missing("There are no results yet."))
    return Section("summary", "In short", blocks)


def _simulated(run: RunResults) -> Iterator[Block]:
    if run.manifests:
        total = sum(m.layout.n_simulations for m in run.manifests.values())
        failed = total - sum(m.counts["ok"] for m in run.manifests.values())
        yield text(
            "<b>{total}</b> simulations in {n} campaigns; {failed} of them failed.",
            total=f"{total:,}", n=len(run.manifests), failed=f"{failed:,}" if failed else "none",
        )  # fmt: skip


def _effects(run: RunResults) -> Iterator[Block]:
    """Effect of the factors of the feedback loops on the evoked response, for each preset."""
    found, names = [], list(LOOP)
    for preset in run.presets:
        maps = run.one_at_a_time(preset)
        loop = [] if maps is None else [name for name in LOOP if name in maps["parameter"].values]
        if maps is not None and loop:
            names = loop
            largest = maps["effect"].sel(parameter=loop).max("end")
            found.append(
                Markup("{} to {} in the <b>{}</b> preset").format(
                    percent(float(largest.min())), percent(float(largest.max())), preset
                )
            )
    if found:
        yield text(
            "Moving one of {names} (the <a href='#parameters'>number of synapses and the contact "
            "probabilities</a>) to the end of its range changes the evoked response by {found}.",
            names=symbols(names), found=Markup(", but by ").join(found),
        )  # fmt: skip


def _recovered(run: RunResults) -> Iterator[Block]:
    """Accuracy of the best estimator of each preset, compared with the limit and the baselines."""
    if run.scores is None:
        return
    scores, noise = mean_over_seeds(run.scores), middle_noise(run.scores)
    for preset in scores["preset"].unique():
        rows = one_level(scores, preset, noise)
        rows = rows[rows["parameter"].isin(single_parameters(rows["parameter"]))]
        best, partly = best_estimator(rows), partly_tested(rows)
        means = rows.groupby("estimator")["r2"].mean()
        limit = rows[rows["estimator"] == best]["r2_limit"].mean()
        others = ", ".join(
            f"{estimator_name(e)} {number(means[e])}" for e in estimators(rows) if e not in (best, *partly)
        )
        yield text(
            "<b>{preset}</b>, noise {noise} ({snr} dB): mean R² over {n} parameters {r2} for {name}, "
            "{share} of the limit of {limit} ({others}).{uncertain}",
            preset=preset, noise=noise, snr=number(rows["snr_db"].median(), 1),
            n=rows["parameter"].nunique(), r2=number(means[best]), name=estimator_name(best),
            share=percent(means[best] / limit) if limit > SMALLEST_LIMIT else "–", limit=number(limit),
            others=others or "no baselines", uncertain=_uncertain(run, preset, noise),
        )  # fmt: skip


def _uncertain(run: RunResults, preset: str, noise: str) -> str:
    """Warning if the limit is computed from posteriors that are not resolved."""
    for name in run.experiments:
        reference = run.reference(name)
        if reference is None or run.preset(run.config.inference.trainings[name].test) != preset:
            continue
        share = unresolved_share(reference)
        if share is not None and noise in share["noise"].values and share.sel(noise=noise) > 0:
            unresolved = percent(float(share.sel(noise=noise)))
            return f" The limit is uncertain: {unresolved} of the posteriors behind it are not resolved."
    return ""


def _trusted(run: RunResults) -> Iterator[Block]:
    """Whether the posteriors can be trusted, by noise level."""
    for name, found in diagnosed(run).items():
        yield text(
            'Can the posteriors of <b>{name}</b> be trusted? {answer} (<a href="#calibration">why</a>).',
            name=name, answer=_sentence(in_short(answers(found))),
        )  # fmt: skip
    for name, found in reference_posteriors(run).items():
        yield text(
            'The reference posteriors of <b>{name}</b>? {answer} (<a href="#calibration">why</a>).',
            name=name, answer=_sentence(in_short(answers(found))),
        )  # fmt: skip


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _unrecoverable(run: RunResults) -> Iterator[Block]:
    """Parameters that no method can infer, for each preset."""
    if run.scores is None:
        return
    single = single_parameters(run.scores["parameter"])
    scores = run.scores[run.scores["parameter"].isin(single)]
    for preset, rows in scores.groupby("preset", sort=False):
        best = rows.groupby("parameter")["r2_limit"].max()
        hopeless = [name for name in single if name in best.index and best[name] < SMALLEST_LIMIT]
        if hopeless:
            yield text(
                "<b>{preset}</b>: {names} cannot be inferred by any method at any noise level of this run "
                "(limit of R² below {limit}).",
                preset=preset, names=symbols(hopeless), limit=SMALLEST_LIMIT,
            )  # fmt: skip


def _learned(run: RunResults) -> Iterator[Block]:
    """Change of mean R2 by more simulations and by more epochs."""
    if run.learning_curve is None:
        return
    curve = run.learning_curve
    curve = curve[curve["parameter"].isin(single_parameters(curve["parameter"]))]
    mean = curve.groupby(["n_presentations", "n_simulations"])["r2"].mean()
    usual, longest = curve["n_presentations"].min(), curve["n_presentations"].max()
    fewest, most = curve["n_simulations"].min(), curve["n_simulations"].max()
    start = mean[usual, fewest]
    yield text(
        "Compared with {fewest} training simulations, {x} times as many simulations change the mean R² by "
        "{more}; {y} times as many epochs over the same simulations change it by {longer}.",
        fewest=f"{int(fewest):,}", x=f"{most / fewest:.3g}", more=number(mean[usual, most] - start, 3),
        y=f"{longest / usual:.3g}", longer=Markup(number(mean[longest, fewest] - start, 3)),
    )  # fmt: skip


def _explained(run: RunResults) -> Iterator[Block]:
    """Verdicts on measured responses."""
    if run.estimates is None:
        return
    fits = [response["best_fit"] for response in run.estimates["responses"]]
    counted = {verdict: sum(fit["verdict"] == verdict for fit in fits) for verdict in VERDICTS}
    counts = [f"{count} {headline(verdict)}" for verdict, count in counted.items() if count]
    best = max(fit["explained"] or 0.0 for fit in fits)
    yield text(
        "<b>Recordings</b>: {n} measured responses: {counts}. The best of all fits explains {best} of the "
        "measured power.",
        n=len(fits), counts=", ".join(counts), best=percent(best) if best > 0 else "nothing",
    )  # fmt: skip
