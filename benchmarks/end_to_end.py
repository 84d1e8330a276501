"""From parameters to an averaged noisy evoked response of 64 channels: the paper's way beside jrflow's.

    python benchmarks/end_to_end.py [--n-sims 512] [--repeats 5] [--core 1]

The paper's way is that of its public code (Tilwani & O'Reilly, `deepjr`: `run_jr_simulation`,
`generate_evoked_from_jr`): 61,000 Euler steps in scalar NumPy, MNE's SourceSimulator, simulate_raw,
add_noise, Epochs, average, on a forward solution of 8,190 sources. Its head is a sphere with fsaverage5's
cortex instead of fsaverage's own: that needs a download and takes the same time. Left out in its favour:
reading the label from disk, which it does for every simulation.

CPU seconds on one core, medians over repeats taken in turns. Compilation, the forward solution and the
lead field are made once and left out. Before timing, both ways run once without noise and must agree.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when NumPy is imported

import mne
import numpy as np
import xarray as xr

import jrflow
from jrflow.config.eeg import AdHocNoise, SourceConfig
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design.priors import Prior
from jrflow.model.protocol import EvokedProtocol
from jrflow.model.timing import Timing
from jrflow.observe.channels import electrode_positions, montage_info
from jrflow.observe.cortex import Patch, fit_sphere, fsaverage_patch, place_in_head, vertex_normals
from jrflow.observe.noise import EvokedNoise, noise_level, spatial_filter
from jrflow.observe.projection import to_eeg

PROTOCOL, SFREQ, PRESET = EvokedProtocol(), 1000.0, "unit-consistent"
TIMING = Timing.of(PROTOCOL, 1 / SFREQ, SFREQ)
PRIOR = Prior.of(RelativeUniformPrior(kind="relative-uniform"), PRESET)
#: Sources per hemisphere, and the moment of each in the label, A m per mV: the paper's.
N_SOURCES, MOMENT = 4095, 1e-9
#: Times of the parts of a run, s, by name.
Parts = dict[str, float]


def euler(p: dict[str, float], stimulus: np.ndarray, dt: float) -> np.ndarray:
    """The paper's loop over steps, array element by array element as in its code; y1 - y2, mV."""
    A, B, a, b, r, v_max, v_0 = (p[name] for name in ("A_e", "A_i", "b_e", "b_i", "r", "v_max", "v_0"))
    C_1, C_2, C_3, C_4 = (p["C"] * p[f"a_{k}"] for k in (1, 2, 3, 4))
    to_y0, to_y1, to_y2 = (gain * stimulus for gain in PROTOCOL.gains)
    y = np.zeros((6, len(stimulus)))
    for k in range(1, len(stimulus)):
        j = k - 1
        y[0, k] = y[0, j] + dt * y[3, j]
        y[1, k] = y[1, j] + dt * y[4, j]
        y[2, k] = y[2, j] + dt * y[5, j]
        rate = to_y0[j] + v_max / (1 + np.exp(r * (v_0 - (y[1, j] - y[2, j]))))
        y[3, k] = y[3, j] + dt * (A * a * rate - 2 * a * y[3, j] - a**2 * y[0, j])
        rate = to_y1[j] + C_2 * v_max / (1 + np.exp(r * (v_0 - C_1 * y[0, j])))
        y[4, k] = y[4, j] + dt * (A * a * rate - 2 * a * y[4, j] - a**2 * y[1, j])
        rate = to_y2[j] + C_4 * v_max / (1 + np.exp(r * (v_0 - C_3 * y[0, j])))
        y[5, k] = y[5, j] + dt * (B * b * rate - 2 * b * y[5, j] - b**2 * y[2, j])
    return y[1] - y[2]


class Clock:
    """CPU time of one part after the other: what others do on the machine counts less than in wall time."""

    def __init__(self) -> None:
        self.parts: Parts = {}
        self._last = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.parts[name] = now - self._last
        self._last = now


@dataclass(frozen=True)
class Head:
    """Forward solution of the whole cortex, and the label in it that is active."""

    info: mne.Info
    forward: mne.Forward
    label: mne.Label

    @classmethod
    def build(cls) -> Head:
        info = montage_info("biosemi64")
        centre, radius = fit_sphere(electrode_positions(info))
        used = np.linspace(0, 10241, N_SOURCES).round().astype(int)
        sources = mne.SourceSpaces([_hemisphere(side, used, centre, radius) for side in ("left", "right")])
        sphere = mne.make_sphere_model(centre, radius)
        forward = mne.make_forward_solution(
            info, mne.Transform("mri", "head"), sources, sphere, meg=False, mindist=0
        )
        active = np.intersect1d(fsaverage_patch(SourceConfig()).vertices, forward["src"][0]["vertno"])
        return cls(info, forward, mne.Label(active, hemi="lh", subject="fsaverage"))

    def lead_field(self) -> xr.DataArray:
        """What the label adds up to, uV/mV, average reference."""
        fixed = mne.convert_forward_solution(self.forward, force_fixed=True)
        columns = np.searchsorted(fixed["src"][0]["vertno"], self.label.vertices)
        gain = fixed["sol"]["data"][:, columns].sum(axis=1) * MOMENT * 1e6
        return xr.DataArray(
            (gain - gain.mean())[:, np.newaxis],
            dims=("channel", "region"),
            coords={"channel": self.info["ch_names"], "region": ["column"]},
        )


def _hemisphere(side: str, used: np.ndarray, centre: np.ndarray, radius: float) -> dict:
    """A hemisphere of fsaverage5 within the sphere, as MNE's source spaces hold it."""
    from nilearn.datasets import load_fsaverage

    mesh = load_fsaverage("fsaverage5")["white_matter"].parts[side]
    positions, triangles = mesh.coordinates.astype(float) / 1e3, mesh.faces.astype(int)
    whole = Patch(np.arange(len(positions)), positions, vertex_normals(positions, triangles), centre)
    placed = place_in_head(whole, centre, radius)
    surface = mne.surface.complete_surface_info(
        {"rr": placed.positions, "tris": triangles}, do_neighbor_tri=False
    )
    absent = ("use_tris", "nearest", "nearest_dist", "pinfo", "patch_inds", "dist", "dist_limit")
    return surface | dict.fromkeys(absent) | {
        "id": 101 if side == "left" else 102, "type": "surf", "coord_frame": 5, "nn": placed.normals,
        "inuse": np.isin(whole.vertices, used).astype(int), "nuse": len(used), "vertno": used,
        "nuse_tri": 0, "subject_his_id": "fsaverage",
    }  # fmt: skip


@dataclass(frozen=True)
class Published:
    """The paper's way, one simulation a run."""

    head: Head
    noise_cov: mne.Covariance

    def run(self, parameters: dict[str, float], noise_seed: int | None) -> tuple[mne.Evoked, Parts]:
        onsets = round(SFREQ) * np.arange(1, PROTOCOL.n_trials + 1)
        stimulus = np.zeros(round(PROTOCOL.duration * SFREQ))
        for onset in onsets:
            stimulus[onset : onset + round(PROTOCOL.stim_duration * SFREQ)] = PROTOCOL.stim_rate
        clock = Clock()
        source = euler(parameters, stimulus, 1 / SFREQ)
        clock.lap("simulate")
        simulator = mne.simulation.SourceSimulator(self.head.forward["src"], tstep=1 / SFREQ)
        simulator.add_data(self.head.label, MOMENT * source, [[0, 0, 0]])
        raw = mne.simulation.simulate_raw(self.head.info, simulator, forward=self.head.forward)
        raw.set_eeg_reference(projection=True)
        clock.lap("project")
        if noise_seed is not None:
            clean = raw.copy()
            mne.simulation.add_noise(raw, self.noise_cov, random_state=np.random.default_rng(noise_seed))
            clock.lap("noise")
            difference = raw.get_data() - clean.get_data()
            10 * np.log10(np.mean(clean.get_data() ** 2) / np.mean(difference**2))
            clock.lap("its SNR")
        events = np.column_stack([onsets, np.zeros_like(onsets), np.ones_like(onsets)])
        evoked = mne.Epochs(raw, events, tmin=PROTOCOL.tmin, tmax=PROTOCOL.tmax).average()
        clock.lap("epochs, average")
        return evoked, clock.parts


@dataclass(frozen=True)
class Batch:
    """jrflow's way, many simulations a run; parts are per simulation.

    Attributes
    ----------
    at_once
        Simulations whose channels are in memory at the same time; a training loop uses them up and lets the
        next ones take their place.
    """

    parameters: dict[str, np.ndarray]
    lead_field: xr.DataArray
    noise: EvokedNoise
    at_once: int

    def simulate(self, clock: Clock) -> xr.Dataset:
        ds = jrflow.simulate(self.parameters, preset=PRESET, protocol=PROTOCOL, n_threads=1)
        clock.lap("simulate")
        return ds

    def channels(self) -> Parts:
        """All 64 channels, in one pass."""
        gain = self.lead_field.values[:, 0]
        out = np.zeros((self.at_once, len(gain), TIMING.n_times), np.float32)
        clock = Clock()
        ds = self.simulate(clock)
        source, sims = ds["source"].values[:, 0], ds["sim"].values
        for k in range(0, len(sims), self.at_once):
            chunk = slice(k, k + self.at_once)
            self.noise.observe(source[chunk], gain, sims[chunk], 0, out[: len(sims[chunk])])
        clock.lap("project, noise")
        return self._each(clock)

    def separately(self) -> Parts:
        """All 64 channels, by the functions that know labels: each makes new arrays, in double precision."""
        clock = Clock()
        ds = self.simulate(clock)
        chunks = range(0, ds.sizes["sim"], self.at_once)
        clean = [to_eeg(ds["source"][k : k + self.at_once], self.lead_field) for k in chunks]
        clock.lap("project")
        generator = np.random.default_rng(0)
        for eeg in clean:
            eeg.values += self.noise.sample(eeg.sizes["sim"], generator)
        clock.lap("noise")
        return self._each(clock)

    def sufficient(self) -> Parts:
        """The one time course that holds all that 64 channels know of the source, in its noise."""
        _, sd = spatial_filter(self.lead_field, self.noise)
        projected = replace(self.noise, covariance=np.array([[sd**2]]))
        clock = Clock()
        ds = self.simulate(clock)
        projected.observe(ds["source"].values[:, 0], np.ones(1), ds["sim"].values, 0)
        clock.lap("project, noise")
        return self._each(clock)

    def _each(self, clock: Clock) -> Parts:
        n_sims = len(next(iter(self.parameters.values())))
        return {name: seconds / n_sims for name, seconds in clock.parts.items()}


def difference(published: Published, lead_field: xr.DataArray) -> float:
    """Largest difference of the two ways without noise, in units of the largest value."""
    drawn = dict(zip(PRIOR.names, PRIOR.sample(1, 1).T, strict=True))
    evoked, _ = published.run(_first(drawn), None)
    ds = jrflow.simulate(drawn, preset=PRESET, solver="euler", precision="float64")
    ours = to_eeg(ds["source"][0], lead_field)
    return float(abs(ours.values - evoked.data * 1e6).max() / abs(ours).max())


def _first(drawn: dict[str, np.ndarray]) -> dict[str, float]:
    return dict(PRIOR.defaults) | {name: float(values[0]) for name, values in drawn.items()}


def table(runs: dict[str, list[Parts]]) -> str:
    """Medians of the parts and of their sums, ms per simulation, beside the first run's."""
    lines, reference = [f"{'ms per simulation':30} {'':16} {'share':>6}  {'times less':>10}"], 0.0
    for name, measured in runs.items():
        total = statistics.median(sum(parts.values()) for parts in measured)
        reference = reference or total
        lines.append(f"{name:30} {1e3 * total:16.4f} {'':6}  {reference / total:10,.0f}")
        for part in measured[0]:
            median = statistics.median(parts[part] for parts in measured)
            lines.append(
                f"  {part:28} {1e3 * median:16.4f} {median / total:6.0%}  {reference / median:10,.0f}"
            )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-sims", type=int, default=512, help="simulations a run of jrflow")
    parser.add_argument("--at-once", type=int, default=32, help="of which the channels are kept at a time")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--core", type=int, default=1, help="that all is computed on")
    arguments = parser.parse_args(argv)
    os.sched_setaffinity(0, {arguments.core})
    mne.set_log_level("ERROR")
    warnings.filterwarnings("ignore", "No average EEG reference")  # white noise does not care

    head = Head.build()
    published = Published(head, mne.make_ad_hoc_cov(head.info))
    lead_field = head.lead_field()
    print(f"{2 * N_SOURCES:,} sources, label of {len(head.label.vertices)}, {len(lead_field)} channels")
    apart = difference(published, lead_field)
    print(f"largest difference without noise: {apart:.1e} of the largest value\n")
    if not apart < 1e-5:
        raise SystemExit("the two ways do not compute the same: their times mean nothing")

    noise = noise_level(AdHocNoise(kind="ad-hoc", factor=1.0), lead_field, TIMING)
    drawn = dict(zip(PRIOR.names, PRIOR.sample(arguments.n_sims, 0).T, strict=True))
    batch = Batch(drawn, lead_field, noise, arguments.at_once)
    candidates: dict[str, Callable[[], Parts]] = {
        "the paper's code": lambda: published.run(_first(drawn), 0)[1],
        f"jrflow, 64 channels, {batch.at_once} at once": batch.channels,
        "jrflow, 64 channels, all kept": replace(batch, at_once=arguments.n_sims).channels,
        "jrflow, to_eeg and sample": batch.separately,
        "jrflow, sufficient statistic": batch.sufficient,
    }
    for run in candidates.values():
        run()
    runs: dict[str, list[Parts]] = {name: [] for name in candidates}
    for _ in range(arguments.repeats):
        for name, run in candidates.items():
            runs[name].append(run())
    print(table(runs))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
