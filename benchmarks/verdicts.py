"""False alarms and power of the verdict of jrflow infer, over simulated recordings of each kind.

    python benchmarks/verdicts.py [--n 200] [--only "right model" ...]

Needs no trained network: every recording is fitted from the nearest of 8,192 simulations of the prior (+-50 %
on all nine parameters, unit-consistent; biosemi64, 59 averages, noise at 20 dB unless a row says otherwise).

n            recordings
explained .. share of each verdict
refused      share whose p-value is below the level, with its 95 % interval (Clopper and Pearson): false
             alarms where the model is right, power where it is not; of recordings that are judged and have a
             response
uniform      p-value of the Kolmogorov-Smirnov test that the p-values of a right model are uniform

docs/results/verdicts.csv keeps the rows.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when NumPy is imported

import numpy as np
import pandas as pd
from markdown_table import table as markdown
from scipy.stats import binomtest, kstest
from verdict_kinds import AGAIN, AT_ONCE, N_ITERATIONS, N_REFERENCE, N_STARTS, SFREQ, Bench, Given, kinds

from jrflow.inference.recordings.baseline import baseline_noise
from jrflow.inference.recordings.best_fit import tangents
from jrflow.inference.recordings.evidence import Recording
from jrflow.inference.recordings.goodness import judge
from jrflow.inference.recordings.measured_noise import Clock
from jrflow.inference.recordings.verdict import LEVEL, VERDICTS, Goodness
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.gauss_newton import find_modes
from jrflow.limits.starts import nearest_simulations
from jrflow.observe.epoch import Epoch
from jrflow.observe.observation import Observation
from jrflow.observe.window import Window

STORED = Path(__file__).parents[1] / "docs/results/verdicts.csv"


@dataclass(frozen=True)
class Fitting:
    """Recordings of one kind, and what their fits need."""

    bench: Bench
    given: Given

    @cached_property
    def window(self) -> Window:
        return Window.of(self.given.noise.times, SFREQ, 0.0)

    @cached_property
    def clock(self) -> Clock:
        return Clock.of(self.given.noise, self.window)

    @cached_property
    def likelihood(self) -> EvokedLikelihood:
        """At the rate of the blocks."""
        given, noise, blocks = self.given, self.given.noise, self.clock.blocks
        epoch = Epoch(noise.times, self.bench.simulation.timing.period, noise.processing, window=blocks)
        observation = Observation.of_electrodes("projected", given.lead_field, noise, epoch)
        gain = given.lead_field.values[:, 0]
        measured = (baseline_noise(eeg, gain, noise, self.window).inflation for eeg in given.eeg)
        sd = observation.sd * np.sqrt(np.fromiter(measured, float))
        data = observation.of_channels(given.eeg)
        return EvokedLikelihood.of(data, observation, self.bench.prior, self.bench.simulation, sd)

    def best(self, likelihood: EvokedLikelihood, starts: np.ndarray) -> np.ndarray:
        """Coordinates of the best possible fits, (n, n_coordinates)."""
        found = np.concatenate([starts, find_modes(likelihood, starts, N_ITERATIONS).x], axis=1)
        n, n_found, d = found.shape
        density = likelihood.log_likelihood(found.reshape(-1, d), np.repeat(np.arange(n), n_found))
        possible = np.isfinite(likelihood.coordinates.log_prior(found.reshape(-1, d)))
        chosen = np.where(possible, density, -np.inf).reshape(n, n_found).argmax(axis=1)
        best: np.ndarray = found[np.arange(n), chosen]
        return best

    def judged(self, x: np.ndarray, cases: np.ndarray) -> list[Goodness]:
        """Judge the fits at some coordinates to some of the recordings."""
        given, observation = self.given, self.likelihood.observation
        whole = replace(
            self.likelihood, observation=replace(observation, epoch=observation.epoch.every_sample())
        )
        gain, names = given.lead_field.values[:, 0], [str(c) for c in given.lead_field["channel"].values]
        sources, lines = whole.clean(x)[0][:, 0], tangents(whole, x)
        return [
            judge(
                Recording(given.eeg[k].astype(float), gain, names, given.noise, self.clock),
                source,
                line,
                self.likelihood.sd[k],
            )
            for k, source, line in zip(cases, sources, lines, strict=True)
        ]

    def run(self, thorough: bool) -> list[Goodness]:
        """Fit all; those that leave more than noise once more, from more starts, where this is thorough."""
        starts = nearest_simulations(self.likelihood, N_REFERENCE, 0)[:, :N_STARTS]
        x = self.best(self.likelihood, starts)
        found = self.judged(x, np.arange(len(x)))
        for k in [k for k, one in enumerate(found) if thorough and one.p_course < AGAIN]:
            case = self.likelihood.take(np.array([k]))
            again = self.best(case, self.bench.nearest(case)[None])
            both = np.stack([x[k], again[0]])
            better = both[[np.argmax(case.log_likelihood(both, np.zeros(2, dtype=int)))]]
            (found[k],) = self.judged(better, np.array([k]))
        return found


def row(name: str, right: bool, found: Sequence[Goodness], seconds: float) -> dict[str, Any]:
    """What is said of one kind."""
    judged = [g for g in found if g.verdict != "cannot be judged" and g.p_flat < LEVEL]
    p = np.array([g.p_value for g in judged])
    refused = int((p < LEVEL).sum())
    interval = binomtest(refused, len(p)).proportion_ci() if len(p) else None
    channels = sorted({c for g in found for c in g.channels})
    middle = {
        key: np.median([np.nan if getattr(g, key) is None else getattr(g, key) for g in found])
        for key in (
            "noise_ratio", "detectable_place_uv", "detectable_place_share", "detectable_course_mv",
            "detectable_course_share", "explained",
        )
    }  # fmt: skip
    return {
        "kind": name,
        "right": right,
        "n": len(found),
        **{verdict: np.mean([g.verdict == verdict for g in found]) for verdict in VERDICTS},
        "judged": len(p),
        "refused": refused / len(p) if len(p) else np.nan,
        "refused_low": interval.low if interval else np.nan,
        "refused_high": interval.high if interval else np.nan,
        "below_05": (p < 0.05).mean() if len(p) else np.nan,
        "uniform": kstest(p, "uniform").pvalue if right and len(p) else np.nan,
        **{f"median_{key}": value for key, value in middle.items()},
        "channels": " ".join(channels[:4]),
        "seconds": seconds,
    }


def tables(rows: pd.DataFrame) -> str:
    """False alarms, then power and artefacts, in Markdown, as docs/science/inference.md has them."""
    responds = rows["judged"] > 1
    alarms = [
        [
            one["kind"], f"{one['n']}",
            f"{one['refused']:.1%} ({one['refused_low']:.1%} to {one['refused_high']:.1%})",
            f"{one['below_05']:.1%}", f"p = {one['uniform']:.2g}", f"{one['median_noise_ratio']:.3g}",
        ]
        for _, one in rows[rows["right"] & responds].iterrows()
    ]  # fmt: skip
    others = [
        [one["kind"], f"{one['n']}", *(f"{one[verdict]:.1%}" for verdict in VERDICTS)]
        for _, one in rows[~(rows["right"] & responds)].iterrows()
    ]
    return (
        markdown(
            [
                "recordings",
                "n",
                "p < .01 (95 % interval)",
                "p < .05",
                "uniform (KS)",
                "noise measured / assumed",
            ],
            alarms,
        )
        + "\n"
        + markdown(["recordings", "n", *VERDICTS], others)
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="recordings of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[""], help="beginnings of kinds")
    parser.add_argument("--out", type=Path, default=STORED)
    parser.add_argument("--tables", action="store_true", help="print what is stored, measure nothing")
    a = parser.parse_args(argv)
    if a.tables:
        print(tables(pd.read_csv(a.out)))
        return 0
    bench, rows = Bench(a.n, a.seed), []
    for name, (right, make) in kinds(bench).items():
        if not name.startswith(tuple(a.only)):
            continue
        started, given = time.perf_counter(), make()
        parts = [slice(k, k + AT_ONCE) for k in range(0, len(given.eeg), AT_ONCE)]
        thorough = right or name.startswith("pulse")
        found = [
            one
            for part in parts
            for one in Fitting(bench, replace(given, eeg=given.eeg[part])).run(
                thorough and "noise alone" not in name
            )
        ]
        rows.append(row(name, right, found, time.perf_counter() - started))
        one = rows[-1]
        print(
            f"{name:55s} n {one['n']:3d} " + " ".join(f"{one[v]:.2f}" for v in VERDICTS)
            + f" | refused {one['refused']:.3f} ({one['refused_low']:.3f}..{one['refused_high']:.3f})"
            f" <.05 {one['below_05']:.3f} KS {one['uniform']:.2g} ratio {one['median_noise_ratio']:.3g} "
            f"{one['channels']} {one['seconds']:.0f} s",
            flush=True,
        )  # fmt: skip
        pd.DataFrame(rows).to_csv(a.out, index=False, float_format="%.4g")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
