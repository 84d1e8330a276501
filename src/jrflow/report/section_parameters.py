"""Parameters and presets of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from jrflow.design import Prior
from jrflow.model import MODEL
from jrflow.report.content import Block, Section, Table, html_unit, symbol, symbols, text
from jrflow.report.inputs import RunResults
from jrflow.space.parameters import Parameter
from jrflow.specification import prior_of


def parameters_section(run: RunResults) -> Section:
    """List every parameter with its meaning, unit, default and range, and the presets of the run."""
    priors = _priors(run)
    shown: dict[str, Parameter] = dict(MODEL.mass)
    if run.config.simulation.connectome is not None:
        shown |= MODEL.network
    shown |= {
        name: parameter
        for name, parameter in MODEL.inputs.items()
        if any(name in prior.varied for prior in priors.values())
    }
    rows = [_row(run, name, parameter, priors) for name, parameter in shown.items()]
    header = ["meaning", "parameter", "unit", *(f"default, {preset}" for preset in run.presets)]
    header += ["range in this run", "published range"]
    caption = Markup(
        "Parameters of the {model} model: {description}. Range: ends of the prior of this run's campaigns; a "
        "dash: the parameter stays at its default. Published: {reference}.{degeneracy}"
    ).format(
        model=MODEL.name, description=MODEL.description, reference=MODEL.reference, degeneracy=_degeneracy()
    )
    blocks: list[Block] = [_presets(run), Table(caption, header, rows, left=(0, 1, 2), prose=(0,))]
    return Section("parameters", "Parameters and presets", blocks)


def _priors(run: RunResults) -> dict[str, Prior]:
    """Priors of all campaigns, without repetitions."""
    found = {
        (campaign.prior, campaign.preset): prior_of(run.config, name)
        for name, campaign in run.config.campaigns.items()
    }
    return {f"{prior}, {preset}": value for (prior, preset), value in found.items()}


def _row(run: RunResults, name: str, parameter: Parameter, priors: Mapping[str, Prior]) -> list[Any]:
    unit = "–" if parameter.unit == "1" else html_unit(parameter.unit)
    around = run.config.simulation.environment_parameters
    defaults = [_value(around.get(name, _default(preset, name))) for preset in run.presets]
    published = "–" if parameter.published is None else " to ".join(map(_value, parameter.published))
    return [parameter.long_name, symbol(name), unit, *defaults, _ranges(name, priors), published]


def _default(preset: str, name: str) -> float:
    return MODEL.presets[preset].defaults.get(name, MODEL.space[name].default)


def _ranges(name: str, priors: Mapping[str, Prior]) -> Markup:
    """Ends of the priors in which the parameter varies, without repetitions."""
    found = []
    for prior in priors.values():
        if name in prior.varied:
            ends = " to ".join(map(_value, prior.ends(name)))
            if ends not in found:
                found.append(ends)
    return Markup("<br>").join(found) if found else Markup("–")


def _value(value: float) -> str:
    return "infinite" if np.isinf(value) else f"{value:.4g}"


def _degeneracy() -> Markup:
    """Sentence about parameters that data cannot distinguish; empty if there are none."""
    if MODEL.space.degeneracy is None:
        return Markup("")
    common, *others = MODEL.space.degeneracy.factors
    return Markup(
        " {common} enters the equations only in the products {products}, so data determine only the "
        "products; for {common} and {others}, the prior determines the rest."
    ).format(common=symbol(common), products=symbols(list(MODEL.space.products)), others=symbols(others))


def _presets(run: RunResults) -> Block:
    described = Markup("; ").join(
        Markup("<b>{}</b> ({})").format(name, MODEL.presets[name].description) for name in run.presets
    )
    return text(
        "A preset fixes the defaults and units of the model. This run uses {described}. Response: {source} "
        "({unit}).",
        described=described,
        source=MODEL.source.long_name,
        unit=html_unit(MODEL.source.unit),
    )
