"""Estimates for measured responses, and share of each response that the model explains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from markupsafe import Markup

from jrflow.inference.recordings.verdict import LEVEL, headline, sentences
from jrflow.limits.chains import reliability
from jrflow.model import MODEL
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
    """Show estimates and verdicts for measured responses."""
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
    yield _shares_table(found)
    yield _tests_table(found)
    protocol = run.config.simulation.protocol
    if isinstance(protocol, EvokedProtocol):
        yield Plate("recordings", courses_figure(responses, protocol.stim_duration), _COURSES_CAPTION)
    card = run.model_card(estimates["model"])
    if card is None:
        yield missing("Left out: the model's description (model.json) is absent, so its prior is unknown.")
        return
    bounds = {target["name"]: (target["low"], target["high"]) for target in card["targets"]}
    defaults = _defaults(card["preset"])
    caption = Markup(
        "Estimates and 90 % intervals of each response (numbered as above); height of a panel: the prior's "
        "range; dashed: the default. An interval that fills its panel means that the response contains no "
        "information about this parameter; n = {n} responses."
    ).format(n=len(found))
    is_exact = any(response["exact"] for response in found)
    yield Plate("recording-estimates", estimates_figure(found, bounds, defaults), caption + _EXACT * is_exact)
    units = {target["name"]: target["unit"] for target in card["targets"]}
    names = [f"{index}. {response['response']}" for index, response in enumerate(found, 1)]
    yield _estimates_table("Estimates with 90 % intervals.", names, found, units)
    if is_exact:
        exact = [response["exact"] or {} for response in found]
        yield _estimates_table("Means and 90 % intervals of the exact posteriors.", names, exact, units)
        yield from _unresolved(found)


#: Addition to the caption if there are exact posteriors.
_EXACT = Markup(
    " Exact posterior: sampled from the likelihood of this response, without a network. It is valid if the "
    "model and its noise are correct, and is computed only if the model explains the response."
)


def _unresolved(found: list[dict[str, Any]]) -> Iterator[Block]:
    """Warn of posteriors that the sampler does not resolve."""
    words = {
        index: reliability(*(response["exact"][key] for key in ("rhat", "ess", "resolved")))
        for index, response in enumerate(found, 1)
        if response["exact"]
    }
    which = [f"{index} ({said})" for index, (said, is_reliable) in words.items() if not is_reliable]
    if which:
        yield text(
            "<b>Response {which}: the sampler does not resolve the exact posterior, so its intervals "
            "are uncertain.</b>",
            which=", ".join(which),
        )


_COURSES_CAPTION = Markup(
    "Time course of the source (mV; projection of all channels onto the lead field): measured, re-simulated "
    "from the estimated parameters, and best fit within the range of the training. Grey: the model's "
    "stimulus. One panel for each response."
)


def _verdict(index: int, response: Mapping[str, Any]) -> Block:
    fit, best = response["goodness"], response["best_fit"]
    sentence = (
        "<b>{i}. {name}</b> ({n} averages): <b>{verdict}</b>. {reasons} The best fit within the range of the "
        "training explains {best} of the measured power over channels and time after the onset; the response "
        "re-simulated from the estimates explains {explained}. No time course at this source could explain "
        "more than {ceiling}. The measured noise is {noise} of the power."
    )
    return text(
        sentence,
        i=index,
        name=response["response"],
        n=response["n_averages"],
        verdict=headline(best["verdict"]),
        reasons=" ".join(sentences(best)),
        best=_share(best["explained"]),
        explained=_share(fit["explained"]),
        ceiling=_percent(fit["topography_ceiling"]),
        noise=_percent(best["noise_share"]),
    )


def _untrained(found: list[dict[str, Any]]) -> Iterator[Block]:
    """Warn of responses whose noise is outside the range of the network's training."""
    outside = [str(index) for index, response in enumerate(found, 1) if not response["noise_in_range"]]
    if outside:
        yield text(
            "<b>The network was not trained at the noise level of response {which}: its estimates and "
            "intervals are not valid.</b> Train with noise levels that include this level.",
            which=", ".join(outside),
        )


def _share(explained: float | None) -> str:
    """Explained share in words; below zero, the model is worse than a flat line."""
    if explained is None or explained >= 0:
        return _percent(explained)
    return f"nothing ({number(100 * explained, 0)} %: worse than a flat line)"


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(share)


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else number(value, digits)


def _shares_table(found: list[dict[str, Any]]) -> Table:
    rows = []
    for index, response in enumerate(found, 1):
        fit, best = response["goodness"], response["best_fit"]
        shares = (fit["explained"], best["explained"], best["topography_ceiling"], best["source_explained"])
        noise = (best["noise_share"], best["noise_ratio"])
        rows.append(
            [_label(index, response), response["n_averages"],
             *(_number(share) for share in (*shares, *noise)), best["verdict"]]
        )  # fmt: skip
    header = [
        "response", "averages", "by the estimates", "by the best fit", "ceiling", "of the source",
        "share", "over assumed", "verdict",
    ]  # fmt: skip
    groups = [("", 2), ("explained share of power", 4), ("noise as measured", 2), ("", 1)]
    caption = Markup(
        "Explained share of the power of each measured response, after the onset, over all channels (1: "
        "everything; below 0: worse than a flat line). Ceiling: the largest share that any time course of "
        "this source could explain. Of the source: share of its estimated time course that the best fit "
        "explains. Noise is measured in the recording, in directions without the source: its share of the "
        "power, and its power divided by that of the assumed noise."
    )
    return Table(caption, header, rows, groups, left=(0, 8))


def _tests_table(found: list[dict[str, Any]]) -> Table:
    rows = []
    for index, response in enumerate(found, 1):
        best = response["best_fit"]
        tests = (best["p_flat"], best["p_place"], best["p_course"], best["p_value"])
        power = (best["detectable_place_uv"], best["detectable_course_mv"])
        rows.append(
            [_label(index, response), *(_number(p, 3) for p in tests), *(_number(size) for size in power)]
        )
    header = [
        "response", "flat line", "place", "time course", "both", "second source, µV", "time course, mV",
    ]  # fmt: skip
    groups = [("", 1), ("p-values", 4), ("detectable", 2)]
    caption = Markup(
        "Tests of the verdicts. Each p-value is the probability that noise alone causes a deviation at least "
        "as large. Flat line: deviation of the response from zero. Place: residual of the best fit "
        "across the source (a second source, or a wrong position). Time course: residual of the best fit in "
        "the time course of the source. Both: the smaller of these two p-values, corrected for two tests; "
        "below {level:g} the response is not fully explained. Detectable: root mean square of a deviation "
        "that the tests detect with a probability of 80 %."
    ).format(level=LEVEL)
    return Table(caption, header, rows, groups)


def _label(index: int, response: dict[str, Any]) -> str:
    return f"{index}. {response['response']}"


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
    """Default values of all parameters and products."""
    values = dict(MODEL.preset(preset_name).defaults)
    space = MODEL.space
    return values | {name: math.prod(values[f] for f in space.factors(name)) for name in space.products}
