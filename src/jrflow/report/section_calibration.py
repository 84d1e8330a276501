"""Whether posteriors can be trusted, the width of their intervals, and an example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from markupsafe import Markup

from jrflow.report.content import Block, Plate, Section, Table, missing, number, percent, symbol, text
from jrflow.report.figures_calibration import calibration_figure
from jrflow.report.figures_posterior import posterior_figure
from jrflow.report.inputs import RunResults
from jrflow.report.style import estimator_name
from jrflow.report.trust import answers, unresolved_share

#: Smaller p-values of the tests of uniform ranks are marked.
_SUSPICIOUS = 0.01


def calibration_section(run: RunResults) -> Section:
    """Show simulation-based calibration and expected coverage of every density estimator."""
    title = "Can the posteriors be trusted?"
    found, references = diagnosed(run), reference_posteriors(run)
    if not found and not references:
        left = "Left out: no model estimates a density (inference.networks of kind npe)."
        return Section("calibration", title, [missing(left)])
    blocks: list[Block] = [_answer(run, found, references), _explain()]
    for name, labelled in found.items():
        blocks += _of_model(run, name, labelled)
    for name, reference in references.items():
        blocks.append(_reference_table(run, name, reference))
    return Section("calibration", title, blocks)


def diagnosed(run: RunResults) -> dict[str, xr.Dataset]:
    """Predictions of every density estimator that was checked, by model."""
    found = {name: run.predictions(name) for name in run.config.inference.trainings}
    return {name: one for name, one in found.items() if one is not None and "rank" in one}


def reference_posteriors(run: RunResults) -> dict[str, xr.Dataset]:
    """Reference posteriors that were diagnosed, by experiment."""
    found = {name: run.reference(name) for name in run.experiments}
    return {name: one for name, one in found.items() if one is not None and "rank_p" in one}


def _answer(run: RunResults, found: Mapping[str, xr.Dataset], references: Mapping[str, xr.Dataset]) -> Table:
    rows = []
    for kind, datasets in (("density", found), ("reference", references)):
        for name, labelled in datasets.items():
            label = name if kind == "density" else f"reference posteriors ({name})"
            for answer in answers(labelled):
                verdict, _, why = answer.words.partition(": ")
                rows.append([label, answer.level, Markup("<b>{}</b>").format(verdict), why])
    caption = Markup(
        "Can the posteriors be trusted at each noise level? Yes: no check fails. No: at least one check "
        "fails. The checks are: ranks are uniform, 90 % intervals cover "
        "90 %, and regions of all targets together "
        "have the right coverage (each check is set so that correct posteriors fail it in 1 % of runs). "
        "Responses simulated from draws fit the data (chi-square per degree of freedom, 1 for exact "
        "posteriors, at most 1.2 in the median and at most 2 in 95 % of the responses). At most 5 % of the "
        "posteriors are not resolved (Monte Carlo error). Checks on few simulations detect only large "
        "errors."
    )
    return Table(caption, ["posteriors", "noise", "trusted", "because"], rows, left=(0, 1, 2, 3), prose=(3,))


def _explain() -> Block:
    return text(
        "If posteriors are correct, the rank of the true value among draws is uniform (simulation-based "
        "calibration), and a region of credibility x contains the true values in a share x of cases "
        "(expected coverage of all targets together, by TARP). Neither test shows that a posterior is "
        "narrow: the prior itself would pass. So the tables also show the width of the intervals, and "
        "whether responses simulated from draws fit the data (posterior-predictive check)."
    )


def _of_model(run: RunResults, name: str, found: xr.Dataset) -> list[Block]:
    training = run.config.inference.trainings[name]
    preset, n = run.preset(training.test), found.sizes["diagnosed"]
    caption = Markup(
        "Model {model}, preset {preset}, {n} test simulations. Left: cumulative distribution of the ranks "
        "minus that of uniform ranks, by noise level. Curves of correct posteriors stay within the grey "
        "band in 95 % of cases (for each target separately); curves that leave the band are coloured. A "
        "curve above zero at the left and below zero at the right: intervals are too narrow; below zero at "
        "the left and above at the right: too wide; on one side only: biased. Right: coverage of regions "
        "around random points."
    ).format(model=name, preset=preset, n=f"{n:,}")
    parameters = [str(p) for p in found["parameter"].values]
    table_caption = Markup(
        "{estimator}, preset {preset}: coverage of 90 % intervals (%) and their mean width as a share of the "
        "prior's (%); in italics where ranks are not uniform (Kolmogorov-Smirnov, p &lt; {p})."
    ).format(estimator=estimator_name(training.network), preset=preset, p=_SUSPICIOUS)
    levels = [str(level) for level in found["noise"].values]
    example = _example(run, name, found)
    groups = [("", 1), ("coverage (%)", len(levels)), ("width (% of the prior's)", len(levels))]
    header = ["parameter", *levels, *levels]
    rows = [_row(found.sel(parameter=p), p, levels) for p in parameters]
    return [
        *example,
        Plate(f"calibration-{name}", calibration_figure(found, parameters), caption),
        Table(table_caption, header, rows, groups),
        _fit(name, found, levels),
        *_agreement(name, found, parameters, levels),
    ]


def _example(run: RunResults, name: str, found: xr.Dataset) -> list[Block]:
    """What a posterior looks like: that of the first test simulation, at all noise levels."""
    if "draws" not in found:
        return []
    sim = int(found["sim"].values[0])
    preset = run.preset(run.config.inference.trainings[name].test)
    caption = Markup(
        "One posterior of {model}, preset {preset}: test simulation {sim}, by noise level; {n} draws. Each "
        "panel spans the values in the test campaign; vertical line: the true value. A curve as wide "
        "as its panel means that the response carries no information about the parameter."
    ).format(model=name, preset=preset, sim=sim, n=f"{found.sizes['draw']:,}")
    true = found["true"].isel(sim=0)
    span = found["true"].min("sim"), found["true"].max("sim")
    return [
        Plate(f"posterior-{name}", posterior_figure(found["draws"].isel(example=0), true, *span), caption)
    ]


def _reference_table(run: RunResults, name: str, reference: xr.Dataset) -> Table:
    """How right the reference posteriors are: calibration, and how certain."""
    preset = run.preset(run.config.inference.trainings[name].test)
    unresolved = unresolved_share(reference)
    rows = []
    for level in reference["noise"].values:
        one = reference.sel(noise=level)
        smallest = min(1.0, float(one["rank_p"].min()) * one.sizes["parameter"])
        covered = 100 * float(one["coverage"].sel(nominal=0.9).mean())
        joint = f"{float(one['expected_coverage_p']):.2g}" if "expected_coverage_p" in one else "–"
        share = "–" if unresolved is None else percent(float(unresolved.sel(noise=level)))
        rows.append([str(level), f"{smallest:.2g}", joint, number(covered, 1), share, *_convergence(one)])
    caption = Markup(
        "Reference posteriors, preset {preset}: {n} test simulations, sampled on the "
        "likelihood. Ranks: smallest p-value of all targets, times the number of targets; below 0.01, the "
        "ranks of the true values are not uniform. Joint: p-value of the coverage of regions of all targets "
        "(TARP). Coverage: of 90 % intervals, mean over targets. Unresolved: cases with a Monte Carlo error "
        "above 5 % of a posterior standard deviation. Effective draws and Monte Carlo error (MCSE, in "
        "posterior standard deviations): worst target, median over cases."
    ).format(preset=preset, n=f"{reference.sizes['case']:,}")
    header = ["noise", "ranks", "joint", "coverage (%)", "unresolved", "effective draws", "MCSE"]
    return Table(caption, header, rows)


def _convergence(one: xr.Dataset) -> list[str]:
    """Effective draws and Monte Carlo error if computed: worst target, median over cases."""
    cells = []
    for key, worst, pattern in (("ess", "min", "{:.0f}"), ("mcse", "max", "{:.2f}")):
        if key not in one:
            cells.append("–")
            continue
        values = one[key]
        others = [dim for dim in values.dims if dim != "case"]
        values = getattr(values, worst)(others) if others else values
        cells.append(pattern.format(float(values.median())))
    return cells


def _fit(name: str, found: xr.Dataset, levels: list[str]) -> Table:
    """Table of a posterior-predictive check: residuals of simulations from draws."""
    caption = Markup(
        "Posterior-predictive check of {model}: chi-square per degree of freedom of the residuals between "
        "{n} responses and simulations from draws. For draws from the correct posterior it is slightly "
        "above 1 in the median. It is larger if the density is too wide or in the wrong place."
    ).format(model=name, n=found.sizes["checked"])
    rows = []
    for level in levels:
        quantiles = np.quantile(found["misfit"].sel(noise=level), [0.05, 0.5, 0.95])
        # Values range from 1 to millions, so show significant digits.
        rows.append([level, *(f"{float(q):.3g}" for q in quantiles)])
    return Table(caption, ["noise", "5 %", "median", "95 %"], rows)


def _agreement(name: str, found: xr.Dataset, parameters: list[str], levels: list[str]) -> list[Block]:
    """Compare with reference posteriors, if there are any."""
    if "spread" not in found:
        return []
    caption = Markup(
        "{model} compared with reference posteriors of the same responses (sampled on the likelihood): "
        "root mean square distance of the means, in reference standard deviations, and median ratio of the "
        "standard deviations."
    ).format(model=name)
    groups = [("", 1), ("distance of the means", len(levels)), ("ratio of the widths", len(levels))]
    rows = [
        [symbol(p), *(number(float(found[key].sel(noise=level, parameter=p)), 2)
                      for key in ("shift", "spread") for level in levels)]
        for p in parameters
    ]  # fmt: skip
    return [Table(caption, ["parameter", *levels, *levels], rows, groups)]


def _row(found: xr.Dataset, parameter: str, levels: list[str]) -> list[Any]:
    cells: list[Any] = [symbol(parameter)]
    for level in levels:
        one = found.sel(noise=level)
        covered = number(100 * float(one["coverage"].sel(nominal=0.9)), 1)
        suspicious = float(one["rank_p"]) < _SUSPICIOUS
        cells.append(Markup("<i>{}</i>").format(covered) if suspicious else covered)
    cells += [number(100 * float(found["width"].sel(noise=level, nominal=0.9)), 1) for level in levels]
    return cells
