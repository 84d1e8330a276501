"""Evoked responses, and the effect of single parameters on them in each preset."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from markupsafe import Markup

from jrflow.model import MODEL
from jrflow.model.protocol import EvokedProtocol
from jrflow.observe.projection import to_eeg
from jrflow.report.content import Block, Plate, Section, Table, missing, percent, symbol, symbols, text
from jrflow.report.figures_evoked import EvokedView, evoked_figure
from jrflow.report.figures_oat import effects_figure, ends_figure
from jrflow.report.inputs import RunResults

#: Number of simulations for drawing quantiles.
_SHOWN = 2000

#: Factors that data cannot distinguish: they act only through the feedback loops.
LOOP = () if MODEL.space.degeneracy is None else MODEL.space.degeneracy.factors


def evoked_section(run: RunResults) -> Section:
    """Show the model's evoked responses."""
    return Section("evoked", "Evoked responses", [_evoked_block(run)])


def _evoked_block(run: RunResults) -> Block:
    protocol = run.config.simulation.protocol
    if not isinstance(protocol, EvokedProtocol):
        return missing("Left out: the run records activity at rest, which has no evoked response.")
    if run.config.simulation.connectome is not None:
        return missing("Left out: a network of regions is not projected to the scalp yet.")
    if run.lead_field is None:
        return missing("Left out: there is no lead field (eeg/lead_field.nc).")
    views = {preset: view for preset in run.presets if (view := _view(run, preset)) is not None}
    if not views:
        return missing("Left out: no campaign with random draws from a prior has been simulated.")
    figure = evoked_figure(views, run.lead_field, run.channel, protocol.stim_duration)
    counts = ", ".join(f"{preset}: n = {view.over_prior.sizes['sim']:,}" for preset, view in views.items())
    caption = Markup(
        "Evoked responses without noise (EEG, µV, average reference, mean over trials; grey band: the "
        "protocol's stimulus{timing}). Left: median and quantiles over simulations drawn from the prior, "
        "channel {channel} ({counts}). Middle: {title} at every channel (grey) and at {channel} (black). "
        "Right: its topography at the time of largest power over the scalp (dashed line in the middle)."
    ).format(channel=run.channel, counts=counts, title=_titles(views), timing=_own_timing(views))
    return Plate("evoked", figure, caption)


def _own_timing(views: Mapping[str, EvokedView]) -> str:
    """Remark for the caption where the pulse is not the protocol's."""
    varied = [
        MODEL.space[name].long_name
        for name in ("stim_latency", "stim_duration")
        if any(name in view.over_prior.coords for view in views.values())
    ]
    return f"; simulations differ in {' and '.join(varied)}" if varied else ""


def _titles(views: Mapping[str, EvokedView]) -> str:
    titles = list(dict.fromkeys(view.scalp_title for view in views.values()))
    return "the response at the " + " or ".join(titles)


def _view(run: RunResults, preset: str) -> EvokedView | None:
    """Responses of a preset: over the prior, and over the scalp for the default if it was simulated."""
    archive = _random_campaign(run, preset)
    if archive is None or run.lead_field is None:
        return None
    ok = np.flatnonzero(archive["status"].values == 0)[:_SHOWN]
    source = archive["source"].isel(sim=ok).load()
    over_prior = to_eeg(source, run.lead_field.sel(channel=[run.channel])).isel(channel=0)
    maps = run.one_at_a_time(preset)
    if maps is None:
        return EvokedView(over_prior, to_eeg(source.median("sim"), run.lead_field), "median over the prior")
    # All channels have the same time course up to scale, because there is one region.
    gain = run.lead_field.isel(region=0) / run.lead_field.sel(channel=maps.attrs["channel"]).isel(region=0)
    return EvokedView(over_prior, gain * maps["default_evoked"].isel(parameter=0), "default parameters")


def _random_campaign(run: RunResults, preset: str) -> xr.Dataset | None:
    """Test campaign of the preset's model or, if absent, any campaign with a random design."""
    tests = [model.test for model in run.config.inference.models.values()]
    drawn = [n for n, c in run.config.campaigns.items() if c.design in ("prior", "lhs", "sobol-sequence")]
    for name in [*tests, *drawn]:
        if run.preset(name) == preset and name in run.manifests:
            return run.archive(name)
    return None


def presets_section(run: RunResults) -> Section:
    """Compare the effects of the parameters on the evoked response between presets."""
    maps = {preset: m for preset in run.presets if (m := run.one_at_a_time(preset)) is not None}
    title = "Effect of single parameters on the evoked response"
    if not maps:
        return Section("effects", title, [missing("Left out: no one-at-a-time campaign was analysed.")])
    effects = {preset: m["effect"] for preset, m in maps.items()}
    blocks: list[Block] = [_lead(maps)]
    if len(maps) == 1:
        blocks.append(
            missing(
                "Only the preset {preset} has a one-at-a-time campaign, so presets cannot be compared.",
                preset=next(iter(maps)),
            )
        )
    ranges = _ranges(maps)
    blocks.append(Plate("effects", effects_figure(effects), _effects_caption(ranges)))
    loop = [name for name in LOOP if name in next(iter(maps.values()))["parameter"].values]
    if loop:
        blocks.append(
            Plate("loop-parameters", ends_figure(maps, loop, run.channel), _ends_caption(run, ranges))
        )
    blocks.append(_effects_table(effects, ranges))
    return Section("effects", title, blocks)


def _lead(maps: Mapping[str, xr.Dataset]) -> Block:
    parts, names = [], list(LOOP)
    for preset, dataset in maps.items():
        loop = [name for name in LOOP if name in dataset["parameter"].values]
        if loop:
            names = loop
            largest = dataset["effect"].sel(parameter=loop).max("end")
            parts.append(
                Markup("{}: {} to {}").format(
                    preset, percent(float(largest.min())), percent(float(largest.max()))
                )
            )
    sentence = (
        "Relative change of the evoked response when one of {names} is moved to the more effective end of "
        "its range: {parts}."
    )
    notes = [MODEL.presets[preset].note for preset in maps if MODEL.presets[preset].note]
    sentence = " ".join([sentence, *notes])
    return text(sentence, names=symbols(names), parts=Markup("; ").join(parts))


def _ranges(maps: Mapping[str, xr.Dataset]) -> str:
    """Range of the parameter values, in words."""
    ratios = np.concatenate([m["end_ratio"].values for m in maps.values()])
    if np.allclose(ratios, ratios[0], atol=1e-6):
        low, high = ratios[0]
        return f"from {100 * (low - 1):+.0f} % to {100 * (high - 1):+.0f} % of the default".replace("-", "−")
    return "over the range of the prior"


def _effects_caption(ranges: str) -> Markup:
    return Markup(
        "Largest relative change of the evoked response when only one parameter is changed, {}: root mean "
        "square of the change over the epoch, divided by the root mean square of the response at the default "
        "(dimensionless, logarithmic axis; no noise; one simulation at each end of the range)."
    ).format(ranges)


def _ends_caption(run: RunResults, ranges: str) -> Markup:
    return Markup(
        "Evoked response at channel {} (µV) at the default and at both ends of the range of each of {} "
        "({}), with the largest relative change above each panel. If only one curve is visible, all three "
        "coincide."
    ).format(run.channel, symbols(LOOP), ranges)


def _effects_table(effects: Mapping[str, xr.DataArray], ranges: str) -> Table:
    names = [str(name) for name in next(iter(effects.values()))["parameter"].values]
    rows = []
    for name in names:
        cells = []
        for effect in effects.values():
            one = effect.sel(parameter=name) if name in effect["parameter"].values else None
            cells += ["–", "–"] if one is None else [percent(float(value)) for value in one]
        rows.append([symbol(name), *cells])
    header = ["parameter", *(["lower end", "upper end"] * len(effects))]
    groups = [("", 1), *((preset, 2) for preset in effects)]
    caption = Markup("Relative change of the evoked response at each end of the range ({}).").format(ranges)
    return Table(caption, header, rows, groups)
