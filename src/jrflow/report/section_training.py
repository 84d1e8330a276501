"""Benefit of more training simulations, compared with more epochs."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from jrflow.report.content import Plate, Section, missing
from jrflow.report.figures_recovery import learning_curve_figure
from jrflow.report.inputs import RunResults
from jrflow.report.scores import middle_noise, single_parameters


def learning_section(run: RunResults) -> Section:
    """Compare the benefit of more simulations with that of more epochs."""
    title = "More simulations or more epochs?"
    curve = run.learning_curve
    if curve is None:
        return Section(
            "learning",
            title,
            [missing("Left out: the configuration contains no learning curve (inference.learning_curve).")],
        )
    names = single_parameters(curve["parameter"])
    noise = _shown_noise(run, list(curve["noise"].unique()))
    figure = learning_curve_figure(curve, names, noise)
    caption = Markup(
        "<b>a</b> R² on the test campaign, mean over {n} parameters, against the number of training "
        "simulations. Filled: all runs have {usual} presentations; open: the smallest training set, with "
        "{times} times as many presentations. <b>b</b> Change of each parameter's R² from the smallest "
        "training set, noise {noise}: by more simulations with the same number of presentations, and by "
        "more epochs over the same simulations."
    ).format(
        n=len(names), usual=f"{int(curve['n_presentations'].min()):,}", noise=noise,
        times=f"{curve['n_presentations'].max() / curve['n_presentations'].min():.3g}",
    )  # fmt: skip
    return Section("learning", title, [Plate("learning-curve", figure, caption)])


def _shown_noise(run: RunResults, levels: list[Any]) -> str:
    """Noise level that other sections show, if the curve has it."""
    if run.scores is not None and middle_noise(run.scores) in levels:
        return middle_noise(run.scores)
    return str(levels[len(levels) // 2])
