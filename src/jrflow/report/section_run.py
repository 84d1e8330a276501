"""Settings, versions, seeds, simulations and times of the run."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
from markupsafe import Markup

from jrflow.archive.manifest import Failures, Manifest
from jrflow.report.content import Block, Folded, Section, Table, count, missing, percent, text
from jrflow.report.inputs import RunResults

#: Statuses of simulations in a sealed campaign, as headings.
_COUNTED = {"ok": "ok", "non_finite": "not finite", "out_of_declared_range": "out of range"}


def run_section(run: RunResults) -> Section:
    """Describe the run, so that it can be repeated."""
    blocks: list[Block] = [*_provenance(run), *_campaigns(run), *_models(run), *_time(run)]
    blocks.append(Folded("Effective configuration (config.yaml)", run.config_text))
    return Section("run", "What was run", blocks)


def _provenance(run: RunResults) -> list[Block]:
    if not run.manifests:
        return [missing("No campaign is sealed yet: there are no versions and no commit to report.")]
    commits = sorted({m.created["git_commit"] for m in run.manifests.values()})
    versions = {json.dumps(m.created["versions"], sort_keys=True) for m in run.manifests.values()}
    first: dict[str, str] = next(iter(run.manifests.values())).created["versions"]
    packages = [Markup("{} {}").format(name, version) for name, version in first.items()]
    blocks: list[Block] = [
        text(
            "Run <b>{name}</b>, seed {seed}. Commit: <code>{commits}</code>. Versions: {packages}.",
            name=run.config.run.name, seed=run.config.run.seed, commits=", ".join(commits),
            packages=Markup(", ").join(packages),
        )
    ]  # fmt: skip
    if len(versions) > 1:
        blocks.append(
            missing(
                "The campaigns were started with different package versions; "
                "the versions of the first are shown."
            )
        )
    return blocks


def _campaigns(run: RunResults) -> list[Block]:
    if not run.manifests:
        return []
    header = [
        "campaign", "preset", "design", "simulations", *_COUNTED.values(), "settled early", "trials",
    ]  # fmt: skip
    rows = [_campaign_row(run, name) for name in run.manifests]
    caption = Markup(
        "Simulations of each campaign by status. A failed simulation stays in the archive with its status; "
        "it is never replaced, and never used for training. Settled early: simulations whose response "
        "became periodic before the last trial, so that the remaining trials did not have to be simulated. "
        "Trials: median number of simulated trials, of the number in the protocol."
    )
    widest = max(len(name) for name in run.manifests)
    seeds = "\n".join(f"{name:{widest}}  {s.seed}" for name, s in run.specifications.items())
    blocks: list[Block] = [
        *_network(run), Table(caption, header, rows, left=(0, 1, 2)), Folded("Seeds of the campaigns", seeds),
        *_failures(run),
    ]  # fmt: skip
    unsealed = [name for name in run.config.campaigns if name not in run.manifests]
    if unsealed:
        blocks.append(missing("Not (yet) simulated: {names}.", names=", ".join(unsealed)))
    return blocks


def _campaign_row(run: RunResults, name: str) -> list[Any]:
    manifest, specification = run.manifests[name], run.specifications[name]
    settings, protocol = specification.settings, specification.simulation.protocol
    steady = ["–", "–"] if protocol.kind == "rest" else _steady(manifest, protocol.n_trials)
    counts = [f"{manifest.counts[meaning]:,}" for meaning in _COUNTED]
    total = f"{manifest.layout.n_simulations:,}"
    return [name, settings.preset, settings.design, total, *counts, *steady]


def _steady(manifest: Manifest, n_trials: int) -> list[str]:
    """Fraction that settled early, and the trials that were simulated."""
    steady = manifest.steady_state
    if steady is None or steady.fraction is None:
        return ["–", "–"]
    return [percent(steady.fraction), f"{steady.median_trials:g} of {n_trials}"]


def _network(run: RunResults) -> list[Block]:
    connectome = run.config.simulation.connectome
    if connectome is None:
        return []
    n_regions = next(iter(run.manifests.values())).layout.n_regions
    digest = str(next(iter(run.specifications.values())).connectome_digest)
    return [
        text(
            "Network: {n}, connectome of kind {kind} (sha256 <code>{digest}</code>).",
            n=count(n_regions, "region"), kind=connectome.kind, digest=digest[:12],
        )
    ]  # fmt: skip


def _failures(run: RunResults) -> list[Block]:
    """Table of failed simulations and times of failure, if any failed."""
    steps = {name: specification.simulation.dt for name, specification in run.specifications.items()}
    rows = [
        [name, _COUNTED[meaning], f"{failed.simulations:,}", *_when(failed, steps[name])]
        for name, manifest in run.manifests.items()
        for meaning, failed in manifest.failures.items()
    ]
    if not rows:
        return []
    caption = Markup(
        "Simulations that failed, and the integration step (and time, s, from the start of the simulation) "
        "at which a source was first not finite or out of range."
    )
    header = ["campaign", "status", "simulations", "earliest step", "median step", "latest step"]
    return [Table(caption, header, rows, left=(0, 1))]


def _when(failed: Failures, dt: float) -> list[str]:
    steps = (failed.first_step, failed.median_step, failed.last_step)
    return [f"{step:,.0f} ({step * dt:.3g})" for step in steps]


def _models(run: RunResults) -> list[Block]:
    cards = {
        name: card for name in run.config.inference.trainings if (card := run.model_card(name)) is not None
    }
    if not cards:
        return [missing("No model has been trained.")]
    header = [
        "model",
        "preset",
        "trained on",
        "simulations",
        "for validation",
        "left out",
        "epochs",
        "presentations",
    ]
    rows = [_model_row(name, card, run.history(name)) for name, card in cards.items()]
    caption = Markup(
        "Trained networks. Training and validation use different simulations. Left out: failed simulations. "
        "Presentations: number of simulations presented in total, each time with new noise."
    )
    return [Table(caption, header, rows, left=(0, 1, 2))]


def _model_row(name: str, card: dict[str, Any], history: pd.DataFrame | None) -> list[Any]:
    counts = (card["n_training"], card["n_validation"], sum(card["excluded"].values()))
    shown = ("–", "–") if history is None else (len(history), f"{int(history['n_presentations'].iloc[-1]):,}")
    return [name, card["preset"], card["campaign"], *(f"{count:,}" for count in counts), *shown]


def _time(run: RunResults) -> list[Block]:
    times = run.benchmarks
    if times.empty:
        return [missing("No times: there are no Snakemake benchmarks (Snakemake did not run the pipeline).")]
    longest = times["seconds"].max()
    rows = [[row.stage, f"{row.seconds:.1f}", _bar(row.seconds / longest)] for row in times.itertuples()]
    rows.append([Markup("<b>sum</b>"), f"{times['seconds'].sum():.1f}", ""])
    caption = Markup("Wall-clock time of each job, s. Some jobs may have run at the same time.")
    return [Table(caption, ["job", "seconds", ""], rows, left=(0, 2))]


def _bar(fraction: float) -> Markup:
    return Markup('<span class="bar" style="width:{}em"></span>').format(f"{12 * fraction:.2f}")
