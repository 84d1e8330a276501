"""Whether the posteriors can be trusted, and how sharp they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from markupsafe import Markup

from jrflow.report.content import Block, Plate, Section, Table, missing, number, symbol, text
from jrflow.report.figures_calibration import calibration_figure
from jrflow.report.inputs import RunResults
from jrflow.report.style import ESTIMATOR_NAMES

#: Of the tests of uniform ranks: a smaller p-value is marked.
_SUSPICIOUS = 0.01


def calibration_section(run: RunResults) -> Section:
    """Show what simulation-based calibration and expected coverage say of every density that was trained."""
    title = "Can the posteriors be trusted?"
    found = {name: labelled for name in run.config.inference.trainings if (labelled := _diagnosed(run, name))}
    if not found:
        left = "Left out: no model answers a density (inference.networks of kind npe)."
        return Section("calibration", title, [missing(left)])
    blocks: list[Block] = [_explain()]
    for name, labelled in found.items():
        blocks += _of_model(run, name, labelled)
    return Section("calibration", title, blocks)


def _diagnosed(run: RunResults, name: str) -> xr.Dataset | None:
    predictions = run.predictions(name)
    return predictions if predictions is not None and "rank" in predictions else None


def _explain() -> Block:
    return text(
        "If a posterior is right, the true value's rank among draws from it is uniform (simulation-based "
        "calibration), and regions of any credibility hold the true values as often as they say (expected "
        "coverage, of all targets together, by TARP). Neither says that a posterior is sharp: the prior "
        "itself would pass. So the width of the intervals stands beside their coverage."
    )


def _of_model(run: RunResults, name: str, found: xr.Dataset) -> list[Block]:
    training = run.config.inference.trainings[name]
    preset, n = run.preset(training.test), found.sizes["diagnosed"]
    caption = Markup(
        "Model {model}, preset {preset}, {n} test simulations. Left: distribution of the ranks less that of "
        "uniform ones, by noise level; curves of exact posteriors stay within the grey band in 95 % of cases "
        "(each target by itself). Above zero at the left and below it at the right: too narrow; the other "
        "way round: too wide; all on one side: biased. Right: coverage of regions around random points."
    ).format(model=name, preset=preset, n=f"{n:,}")
    parameters = [str(p) for p in found["parameter"].values]
    table_caption = Markup(
        "{estimator}, preset {preset}: coverage of 90 % intervals (%) and their mean width as a share of the "
        "prior's (%); in italics where ranks are not uniform (Kolmogorov-Smirnov, p &lt; {p})."
    ).format(estimator=ESTIMATOR_NAMES.get(training.network, training.network), preset=preset, p=_SUSPICIOUS)
    levels = [str(level) for level in found["noise"].values]
    groups = [("", 1), ("coverage (%)", len(levels)), ("width (% of the prior's)", len(levels))]
    header = ["parameter", *levels, *levels]
    rows = [_row(found.sel(parameter=p), p, levels) for p in parameters]
    return [
        Plate(f"calibration-{name}", calibration_figure(found, parameters), caption),
        Table(table_caption, header, rows, groups),
        _fit(name, found, levels),
        *_agreement(name, found, parameters, levels),
    ]


def _fit(name: str, found: xr.Dataset, levels: list[str]) -> Table:
    """What draws leave unexplained: a posterior-predictive check."""
    caption = Markup(
        "Posterior-predictive check of {model}: chi-square per degree of freedom of what draws leave "
        "unexplained of {n} responses. Draws from the exact posterior leave what noise leaves, 1 in the "
        "median; where the density is wider than the posterior, or elsewhere, they do not explain the data."
    ).format(model=name, n=found.sizes["checked"])
    rows = []
    for level in levels:
        quantiles = np.quantile(found["misfit"].sel(noise=level), [0.05, 0.5, 0.95])
        # From 1 to millions: digits that count, not decimals.
        rows.append([level, *(f"{float(q):.3g}" for q in quantiles)])
    return Table(caption, ["noise", "5 %", "median", "95 %"], rows)


def _agreement(name: str, found: xr.Dataset, parameters: list[str], levels: list[str]) -> list[Block]:
    """Beside exact posteriors, where there are some."""
    if "spread" not in found:
        return []
    caption = Markup(
        "{model} beside exact posteriors of the same responses: root mean square distance of the means, in "
        "exact standard deviations, and median ratio of the standard deviations."
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
