"""Sobol indices and heat maps."""

from __future__ import annotations

import xarray as xr
from markupsafe import Markup

from jrflow.report.content import Block, Plate, Section, Table, count, html_unit, missing, percent, text
from jrflow.report.figures_oat import heat_map_figure
from jrflow.report.figures_sobol import n_cut, sobol_figure
from jrflow.report.inputs import RunResults


def sobol_section(run: RunResults) -> Section:
    """Show the share of each feature's variance that each parameter explains."""
    title = "Sensitivity over the whole prior"
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
    n = int(indices["n_groups"].max())
    caption = Markup(
        "Sobol indices of features of the evoked response at channel {channel}, preset {preset} (campaign "
        "{campaign}; n = {n} base points, {rows} simulations; dimensionless). First-order: share of a "
        "feature's variance that the parameter explains alone; total: with all its interactions. {whiskers}"
        "With one region, all channels show the same time course up to scale, so indices are the same "
        "at every channel."
    ).format(
        channel=indices.attrs["channel"], preset=indices.attrs["preset"], campaign=campaign, n=f"{n:,}",
        rows=f"{n * (indices.sizes['parameter'] + 2):,}", whiskers=_whiskers(indices),
    )  # fmt: skip
    blocks: list[Block] = [Plate(f"sobol-{campaign}", sobol_figure(indices), caption), _dropped(indices)]
    constant = [str(f) for f in indices["feature"].values[indices["ST"].isnull().all("parameter").values]]
    if constant:
        sentence = "No indices, because these features are constant or almost never defined: {names}."
        blocks.append(text(sentence, names=", ".join(constant).replace("_", " ")))
    return blocks


def _whiskers(indices: xr.Dataset) -> str:
    """Description of the whiskers, and number of whiskers that are cut."""
    cut = n_cut(indices)
    beyond = f" (triangles: {count(cut, 'interval')} beyond the axis)" if cut else ""
    if indices.attrs.get("interval") == "scrambles":
        replicates = indices.attrs["replicates"]
        return f"Whiskers: 95 % intervals by Student's t over {replicates} independent scrambles{beyond}. "
    return (
        f"Whiskers: bootstrap over one scrambled design{beyond}; they are not calibrated 95 % intervals, "
        "and no independent error is available. To get one, simulate the campaign under another name. "
    )


def _dropped(indices: xr.Dataset) -> Block:
    """Features with dropped base points, the share of dropped points, and the consequence."""
    lost = indices["fraction_dropped"]
    named = [
        f"{str(name).replace('_', ' ')} {percent(float(share))}{_by_replicate(indices, name)}"
        for name, share in zip(indices["feature"].values, lost.values, strict=True)
        if share > 0
    ]
    if not named:
        return text("No base point was dropped.")
    return text(
        "Base points were dropped if a simulation failed or the feature is undefined: {names}. Indices of "
        "these features describe only the parameters for which all simulations of a base point succeed; "
        "they are biased if failures depend on the parameters.",
        names="; ".join(named),
    )


def _by_replicate(indices: xr.Dataset, feature: str) -> str:
    """Range over the scrambles, if it is known."""
    if "fraction_dropped_by_replicate" not in indices or indices.attrs.get("replicates", 1) == 1:
        return ""
    each = indices["fraction_dropped_by_replicate"].sel(feature=feature)
    return f" ({percent(float(each.min()))} to {percent(float(each.max()))} by scramble)"


def _feature_table(indices: xr.Dataset) -> Table:
    rows = [
        [str(name).replace("_", " "), str(long_name), html_unit(str(unit))]
        for name, long_name, unit in zip(
            indices["feature"].values, indices["feature_long_name"].values, indices["feature_units"].values,
            strict=True,
        )
    ]  # fmt: skip
    caption = Markup("Features of the evoked response at channel {}.").format(indices.attrs["channel"])
    return Table(caption, ["feature", "definition", "unit"], rows, left=(0, 1), prose=(1,))


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
            "difference from the mean over the parameter's values (µV², logarithmic). Right: log₁₀ of this "
            "squared difference over the squared mean. Each column has one colour scale. Blank: failed "
            "simulations, or times at which the mean is almost zero. The time axis ends when responses have "
            "ended. The maps correspond to the heat maps of Tilwani &amp; O'Reilly (who show channel O2)."
        ).format(preset=preset, channel=maps.attrs["channel"], n=maps.sizes["step"])
        blocks.append(Plate(f"heat-maps-{preset}", heat_map_figure(maps), caption))
    return Section("heat-maps", "One parameter at a time", blocks)
