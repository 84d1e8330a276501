"""What the parameters and the presets are, before anything else speaks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from jrflow.design import Prior
from jrflow.model.parameters import ALL_PARAMETERS, NETWORK_PARAMETERS, PARAMETERS, PRESETS, Parameter
from jrflow.report.content import Block, Section, Table, html_unit, symbol, text
from jrflow.report.inputs import RunResults
from jrflow.specification import prior_of


def parameters_section(run: RunResults) -> Section:
    """Name every parameter with its meaning, unit, default and range, and the presets of the run."""
    priors = _priors(run)
    shown: dict[str, Parameter] = dict(PARAMETERS)
    if run.config.simulation.connectome is not None:
        shown |= NETWORK_PARAMETERS
    rows = [_row(run, name, parameter, priors) for name, parameter in shown.items()]
    header = ["meaning", "parameter", "unit", *(f"default, {preset}" for preset in run.presets)]
    header += ["range in this run", "published range"]
    caption = Markup(
        "Parameters of the Jansen-Rit model: one column of pyramidal cells, excitatory and inhibitory "
        "interneurons. Range: ends of the prior of this run's campaigns; a dash: the parameter stays at its "
        "default. Published: Tilwani &amp; O'Reilly, arXiv 2406.05002. The number of synapses enters the "
        "equations only in the products {products}, so data determine these, and {c} and the contact "
        "probabilities only as far as the prior does."
    ).format(products=_products(), c=symbol("C"))
    blocks: list[Block] = [_presets(run), Table(caption, header, rows, left=(0, 1, 2), prose=(0,))]
    return Section("parameters", "Parameters and presets", blocks)


def _priors(run: RunResults) -> dict[str, Prior]:
    """Distributions that the campaigns draw from, each once."""
    found = {
        (campaign.prior, campaign.preset): prior_of(run.config, name)
        for name, campaign in run.config.campaigns.items()
    }
    return {f"{prior}, {preset}": value for (prior, preset), value in found.items()}


def _row(run: RunResults, name: str, parameter: Parameter, priors: Mapping[str, Prior]) -> list[Any]:
    unit = "–" if parameter.unit == "1" else html_unit(parameter.unit)
    defaults = [_value(_default(preset, name)) for preset in run.presets]
    published = "–" if parameter.low is None else f"{_value(parameter.low)} to {_value(parameter.high)}"
    return [parameter.long_name, symbol(name), unit, *defaults, _ranges(name, priors), published]


def _default(preset: str, name: str) -> float:
    return PRESETS[preset].defaults.get(name, ALL_PARAMETERS[name].default)


def _ranges(name: str, priors: Mapping[str, Prior]) -> Markup:
    """Ends of the priors in which the parameter varies, each once."""
    found = []
    for prior in priors.values():
        if name in prior.names:
            k = prior.names.index(name)
            ends = f"{_value(prior.low[k])} to {_value(prior.high[k])}"
            if ends not in found:
                found.append(ends)
    return Markup("<br>").join(found) if found else Markup("–")


def _value(value: float | None) -> str:
    if value is None:
        return "–"
    return "infinite" if np.isinf(value) else f"{value:.4g}"


def _products() -> Markup:
    return Markup(", ").join(symbol(f"C_{k}") for k in range(1, 5))


def _presets(run: RunResults) -> Block:
    described = Markup("; ").join(
        Markup("<b>{}</b> ({})").format(name, PRESETS[name].description) for name in run.presets
    )
    return text(
        "A preset fixes the defaults and units of the model. This run uses {described}. Response: the "
        "potential of the pyramidal cells, the difference of their excitatory and inhibitory input (mV).",
        described=described,
    )
