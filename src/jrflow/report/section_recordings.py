"""What a model says of measured responses, and how much of them it explains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from markupsafe import Markup

from jrflow.limits.chains import chains_agree
from jrflow.model.parameters import PRODUCTS, preset
from jrflow.model.protocol import EvokedProtocol
from jrflow.report.content import (
    Block,
    Plate,
    Section,
    Table,
    html_unit,
    missing,
    number,
    percent,
    symbol,
    text,
)
from jrflow.report.figures_recordings import courses_figure, estimates_figure
from jrflow.report.inputs import RunResults

_TITLE = "Recordings"


def recordings_section(run: RunResults) -> Section:
    """Show estimates for measured responses, plainly also when they explain little."""
    if run.config.inference.apply is None:
        return Section("recordings", _TITLE, [missing("Left out: no recording was given (inference.apply).")])
    if run.estimates is None or run.responses is None:
        return Section(
            "recordings", _TITLE, [missing("Left out: the model has not been applied to the recording.")]
        )
    return Section("recordings", _TITLE, [*_blocks(run, run.estimates, run.responses)])


def _blocks(run: RunResults, estimates: Mapping[str, Any], responses: xr.Dataset) -> Iterator[Block]:
    found = estimates["responses"]
    name = Path(estimates["evoked"]).name
    yield text(
        "Model {m} applied to {n} evoked responses of {f}.", m=estimates["model"], n=len(found), f=name
    )
    for index, response in enumerate(found, 1):
        yield _verdict(index, response)
    yield from _untrained(found)
    yield _goodness_table(found)
    protocol = run.config.simulation.protocol
    if isinstance(protocol, EvokedProtocol):
        yield Plate("recordings", courses_figure(responses, protocol.stim_duration), _COURSES_CAPTION)
    card = run.model_card(estimates["model"])
    if card is None:
        yield missing("Left out: the model's description (model.json), and so the range of its prior.")
        return
    bounds = {target["name"]: (target["low"], target["high"]) for target in card["targets"]}
    defaults = _defaults(card["preset"])
    caption = Markup(
        "Estimates and 90 % intervals of each response (numbered as above); height of a panel: the prior's "
        "range, "
        "dashed: the default. An interval as wide as its panel says that the response does not tell; n = "
        "{n} responses."
    ).format(n=len(found))
    is_exact = any(response["exact"] for response in found)
    yield Plate("recording-estimates", estimates_figure(found, bounds, defaults), caption + _EXACT * is_exact)
    units = {target["name"]: target["unit"] for target in card["targets"]}
    names = [f"{index}. {response['response']}" for index, response in enumerate(found, 1)]
    yield _estimates_table("Estimates with 90 % intervals.", names, found, units)
    if is_exact:
        told = [response["exact"] or {} for response in found]
        yield _estimates_table("Means and 90 % intervals of the exact posteriors.", names, told, units)
        yield from _unmixed(found)


#: What is added to the caption where there are exact posteriors.
_EXACT = Markup(
    " Exact posterior: of this very response, sampled without a network; it holds as far as the model and "
    "its noise do, and is given only where the model explains the response."
)


def _unmixed(found: list[dict[str, Any]]) -> Iterator[Block]:
    """Warn of posteriors of which the sampler's chains do not agree."""
    chains = {
        index: chains_agree(response["exact"]["rhat"])
        for index, response in enumerate(found, 1)
        if response["exact"]
    }
    which = [f"{index} ({said})" for index, (said, agree) in chains.items() if not agree]
    if which:
        yield text(
            "<b>The chains of the exact posterior do not agree for response {which}: its intervals are "
            "uncertain.</b>",
            which=", ".join(which),
        )


_COURSES_CAPTION = Markup(
    "Time course of the source (mV; projection of all channels onto the lead field) as measured, as "
    "re-simulated from the estimated parameters, and of the best fit within the range of the training. Grey: "
    "the model's stimulus. One panel for each response."
)


def _verdict(index: int, response: Mapping[str, Any]) -> Block:
    fit, best = response["goodness"], response["best_fit"]
    sentence = (
        "<b>{i}. {name}</b> ({n} averages): <b>{verdict}</b> by the model. What fits best, of all parameters "
        "within the range of the training, explains {best} of the measured power over channels and time "
        "after the onset, the response re-simulated from the estimates {explained}; no time course at this "
        "source could explain more than {ceiling}. Noise as assumed would account for {noise} of the power; "
        "what the best fit leaves is {chi2} times as large as such noise over all channels (the baseline: "
        "{baseline} times), and {source} times as large as the source's own noise in its time course "
        "(1: nothing is left to explain)."
    )
    return text(
        sentence,
        i=index,
        name=response["response"],
        n=response["n_averages"],
        verdict=best["verdict"],
        best=_share(best["explained"]),
        explained=_share(fit["explained"]),
        ceiling=percent(fit["topography_ceiling"]),
        noise=percent(fit["noise_share"]),
        chi2=number(best["reduced_chi2"], 1),
        source=number(best["source_chi2"], 1),
        baseline=number(best["baseline_chi2"], 1),
    )


def _untrained(found: list[dict[str, Any]]) -> Iterator[Block]:
    """Warn of responses whose noise the network has never met."""
    outside = [str(index) for index, response in enumerate(found, 1) if not response["noise_in_range"]]
    if outside:
        yield text(
            "<b>The network never met noise as in response {which}: neither estimates nor intervals hold "
            "there.</b> Train with noise levels that include it.",
            which=", ".join(outside),
        )


def _share(explained: float) -> str:
    """Explained share; below zero the model is worse than no response at all."""
    return (
        percent(explained)
        if explained >= 0
        else f"nothing ({number(100 * explained, 0)} %: worse than a flat line)"
    )


def _goodness_table(found: list[dict[str, Any]]) -> Table:
    rows = []
    for index, response in enumerate(found, 1):
        fit, best = response["goodness"], response["best_fit"]
        tests = (best[key] for key in ("noise_share", "reduced_chi2", "source_chi2", "baseline_chi2"))
        shares = (fit["explained"], best["explained"], best["topography_ceiling"], best["source_explained"])
        rows.append(
            [f"{index}. {response['response']}", response["n_averages"], *(number(share) for share in shares),
             *(number(test) for test in tests), best["verdict"]]
        )  # fmt: skip
    header = [
        "response", "averages", "by the estimates", "by the best fit", "ceiling", "of the source",
        "noise", "residual", "of the source", "baseline", "verdict",
    ]  # fmt: skip
    groups = [("", 2), ("explained share of power", 4), ("share", 1), ("reduced χ²", 3), ("", 1)]
    caption = Markup(
        "How much of each measured response is explained, after the onset, over all channels (1: "
        "everything; below 0: worse than a flat line). Ceiling: the most that any time course at this source "
        "could explain. Of the source: share of its estimated time course that the best fit explains. "
        "Reduced χ²: power of what the best fit leaves over all channels and in the source's time course, "
        "and of the measured baseline, over the assumed noise's (of the source: what its baseline, or that "
        "of all channels, tells, if that is larger); 1 if nothing but that noise is left."
    )
    return Table(caption, header, rows, groups, left=(0, 10))


def _estimates_table(
    caption: str, names: list[str], found: list[dict[str, Any]], units: Mapping[str, str]
) -> Table:
    rows = [
        [symbol(name), html_unit(unit), *(_interval(one.get("parameters", {}).get(name)) for one in found)]
        for name, unit in units.items()
    ]
    return Table(Markup(caption), ["parameter", "unit", *names], rows, left=(0, 1))


def _interval(estimate: Mapping[str, float] | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate['value']:.3g} ({estimate['low']:.3g}–{estimate['high']:.3g})"


def _defaults(preset_name: str) -> dict[str, float]:
    """Defaults of all parameters and products."""
    values = dict(preset(preset_name).defaults)
    return values | {name: values["C"] * values[f"a_{name[-1]}"] for name in PRODUCTS}
