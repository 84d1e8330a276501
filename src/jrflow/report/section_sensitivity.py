"""Sobol indices and heat maps."""

from __future__ import annotations

import xarray as xr
from markupsafe import Markup

from jrflow.report.content import Block, Plate, Section, Table, html_unit, missing, percent, text
from jrflow.report.figures_oat import heat_map_figure
from jrflow.report.figures_sobol import sobol_figure
from jrflow.report.inputs import RunResults


def sobol_section(run: RunResults) -> Section:
    """Show which parameters explain the variance of which feature."""
    title = "Which parameters matter, over the whole prior"
    blocks: list[Block] = []
    found = {campaign: run.sobol(campaign) for campaign in run.config.sensitivity.sobol}
    for campaign, indices in found.items():
        if indices is None:
            blocks.append(missing("Campaign {c} has not been analysed.", c=campaign))
        else:
            blocks += _sobol_blocks(campaign, indices)
    blocks += [_feature_table(indices) for indices in found.values() if indices is not None][:1]
    if not run.config.sensitivity.sobol:
        blocks.append(missing("Left out: the configuration names no campaign for Sobol indices."))
    return Section("sobol", title, blocks)


def _sobol_blocks(campaign: str, indices: xr.Dataset) -> list[Block]:
    n, dropped = int(indices["n_groups"].max()), float(indices["fraction_dropped"].max())
    caption = Markup(
        "Sobol indices of features of the evoked response at channel {channel}, preset {preset} (campaign "
        "{campaign}; n = {n} base points, {rows} simulations; whiskers: 95 % bootstrap intervals, cut at the "
        "axis; dimensionless). First-order: share of a feature's variance that the parameter explains alone; "
        "total: with all its interactions. {dropped}"
    ).format(
        channel=indices.attrs["channel"], preset=indices.attrs["preset"], campaign=campaign, n=f"{n:,}",
        rows=f"{n * (indices.sizes['parameter'] + 2):,}", dropped=_dropped(dropped),
    )  # fmt: skip
    blocks: list[Block] = [Plate(f"sobol-{campaign}", sobol_figure(indices), caption)]
    constant = [str(f) for f in indices["feature"].values[indices["ST"].isnull().all("parameter").values]]
    if constant:
        sentence = "Constant or almost never defined, hence without indices: {names}."
        blocks.append(text(sentence, names=", ".join(constant).replace("_", " ")))
    return blocks


def _dropped(fraction: float) -> str:
    if fraction == 0:
        return "No base point was dropped."
    return (
        f"Up to {percent(fraction)} of the base points were dropped, because a simulation failed or "
        "the feature is undefined."
    )


def _feature_table(indices: xr.Dataset) -> Table:
    rows = [
        [str(name).replace("_", " "), str(long_name), html_unit(str(unit))]
        for name, long_name, unit in zip(
            indices["feature"].values, indices["feature_long_name"].values, indices["feature_units"].values,
            strict=True,
        )
    ]  # fmt: skip
    caption = Markup("Features of the evoked response at channel {}.").format(indices.attrs["channel"])
    return Table(caption, ["feature", "definition", "unit"], rows, left=(0, 1))


def heat_map_section(run: RunResults) -> Section:
    """Show the paper's one-at-a-time heat maps."""
    blocks: list[Block] = []
    for preset in run.presets:
        maps = run.one_at_a_time(preset)
        if maps is None:
            blocks.append(missing("Preset {p}: no one-at-a-time campaign was analysed.", p=preset))
            continue
        caption = Markup(
            "One parameter at a time, preset {preset}, channel {channel}: {n} values of each parameter, "
            "the others at their defaults, no noise. Left: evoked response (µV). Middle: squared "
            "difference from the mean over the parameter's values (µV², logarithmic). Right: log₁₀ of that "
            "over the squared mean. One colour scale a column; blank: failed simulations, or no mean to "
            "compare with; the time axis ends where responses have. After the heat maps of Tilwani &amp; "
            "O'Reilly (channel O2 there)."
        ).format(preset=preset, channel=maps.attrs["channel"], n=maps.sizes["step"])
        blocks.append(Plate(f"heat-maps-{preset}", heat_map_figure(maps), caption))
    return Section("heat-maps", "One parameter at a time", blocks)
