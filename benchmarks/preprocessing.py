"""Coverage and verdict after what is usually done to recordings: filters, baselines, projections, rates.

    python benchmarks/preprocessing.py [--recordings 120] [--verdicts 60] [--out table.md]

Recordings are made the long way, on channels, by MNE: continuous EEG of 60 trials in white noise,
filtered, resampled, cut into epochs, averaged. A model without filters and one for each processing are
trained (small perceptrons). Columns: whether the first model applies what the recording declares or
refuses it; the coverage of its 90 % intervals if nothing were applied or refused; coverage and verdicts of
the model that infer accepts.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mne
import numpy as np
import torch
import xarray as xr
from markdown_table import table as markdown

import jrflow
from jrflow.archive import open_archive
from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.config.eeg import AdHocNoise
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import MLPConfig
from jrflow.inference.data.dataset import read_evoked_set
from jrflow.inference.from_archives import train_model
from jrflow.inference.recordings.baseline import baseline_noise
from jrflow.inference.recordings.predict import estimate, interval_estimates, network_input
from jrflow.inference.training.model import TrainedModel
from jrflow.observe.channels import info_of
from jrflow.observe.covariance import inverse_root
from jrflow.observe.evoked import on_model_grid, projected, recorded_as
from jrflow.observe.noise import EvokedNoise, noise_level, spatial_filter
from jrflow.observe.processing import Processing
from jrflow.observe.projection import reference_rms

SNR_DB = 20.0
#: Noise of the trainings reaches by this factor beyond that of the recordings.
MARGIN = 3.0
#: Simulations of the training, and presentations of each.
N_TRAINING, PRESENTATIONS = 20_000, 300_000


#: What the first model is trained for.
NO_FILTER = Processing()


@dataclass(frozen=True, eq=False)
class Bench:
    """Campaigns, electrodes and the noise of the raw recording."""

    folder: Path
    config: Config
    lead_field: xr.DataArray
    factor: float
    presentations: int

    def noise(self, processing: Processing) -> EvokedNoise:
        """Of the averaged response, if the raw recording is processed so."""
        level = AdHocNoise(kind="ad-hoc", factor=self.factor)
        return noise_level(level, self.lead_field, self.config.simulation.timing, None, processing)

    @cache  # noqa: B019 (one bench a run)
    def model(self, processing: Processing) -> TrainedModel:
        """Trained on responses that were processed so."""
        name = f"model-{processing.highpass}-{processing.lowpass}-{processing.baseline}"
        training = TrainingConfig(max_presentations=self.presentations, noise_margin=MARGIN, batch_size=256)
        return train_model(
            self.folder / "train.zarr", self.lead_field, {"noise": self.noise(processing)}, training,
            MLPConfig(hidden=256), 0, self.folder / name, progress=None,
        )  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One processing: what is done to the raw recording and the average, and the model that is for it."""

    name: str
    trained: Processing = NO_FILTER
    raw: Callable[[mne.io.BaseRaw], object] = lambda raw: raw
    average: Callable[[mne.Evoked], mne.Evoked] = lambda evoked: evoked
    baseline: tuple[float | None, float | None] | None = (None, 0.0)


def eye_movements(raw: mne.io.BaseRaw) -> object:
    """Project out a topography as of eye movements: largest in front."""
    raw.set_eeg_reference(projection=True, verbose="error")
    y = np.array([channel["loc"][1] for channel in raw.info["chs"]])
    vector = np.exp(y / 0.04)
    data = {
        "col_names": raw.ch_names, "row_names": None, "data": (vector / np.linalg.norm(vector))[None],
        "nrow": 1, "ncol": len(y),
    }  # fmt: skip
    raw.add_proj(mne.Projection(data=data, desc="EOG", kind=1, active=False), verbose="error")
    return raw.apply_proj(verbose="error")


def filtered(highpass: float | None, lowpass: float | None) -> Callable[[mne.io.BaseRaw], object]:
    return lambda raw: raw.filter(highpass, lowpass, verbose="error")


ROWS = [
    Row("as simulated"),
    Row("baseline not corrected in the file", baseline=None),
    Row("baseline of 50 ms, epoch from -200 ms", baseline=(-0.05, 0.0)),
    Row("epoch begins at -50 ms", Processing(baseline=(-0.05, 0.0)), average=lambda e: e.crop(-0.05)),
    Row("epoch ends 4 ms early", average=lambda e: e.crop(None, 0.996)),
    Row("reference Cz", raw=lambda raw: raw.set_eeg_reference([raw.ch_names[-1]], verbose="error")),
    Row("projection of eye movements (SSP)", raw=eye_movements),
    Row("250 Hz", raw=lambda raw: raw.resample(250.0, verbose="error")),
    Row("low-pass 100 Hz", Processing(lowpass=100.0), filtered(None, 100.0)),
    Row("low-pass 40 Hz", Processing(lowpass=40.0), filtered(None, 40.0)),
    Row("low-pass 30 Hz", Processing(lowpass=30.0), filtered(None, 30.0)),
    Row("low-pass 30 Hz of the average", Processing(lowpass=30.0),
        average=lambda e: e.filter(None, 30.0, verbose="error")),
    Row("low-pass 20 Hz", Processing(lowpass=20.0), filtered(None, 20.0)),
    Row("high-pass 0.1 Hz", Processing(highpass=0.1), filtered(0.1, None)),
    Row("high-pass 0.5 Hz", Processing(highpass=0.5), filtered(0.5, None)),
    Row("high-pass 1 Hz", Processing(highpass=1.0), filtered(1.0, None)),
    Row("0.1 to 30 Hz", Processing(0.1, 30.0), filtered(0.1, 30.0)),
    Row("1 Hz, no baseline", Processing(1.0, None, None), filtered(1.0, None), baseline=None),
]  # fmt: skip


def recordings(bench: Bench, row: Row, n: int) -> Iterator[tuple[int, mne.Evoked]]:
    """Averages of continuous recordings of the first test simulations."""
    timing, protocol = bench.config.simulation.timing, bench.config.simulation.protocol
    source = open_archive(bench.folder / "test.zarr")["source"].values[:n, 0].astype(float)
    gain = bench.lead_field.values[:, 0]
    raw_sd = np.sqrt(bench.factor) * 0.2
    # A multiple of the ratio of rates: otherwise MNE's resampling shifts the recording, here by 1 ms.
    n_samples = timing.period * (protocol.n_trials + 2)
    onsets = timing.n_baseline - 1 + timing.period * np.arange(1, protocol.n_trials)
    events = np.column_stack([onsets, np.zeros_like(onsets), np.ones_like(onsets)])
    info = info_of(bench.lead_field, timing.sfreq)
    for k, course in enumerate(source):
        rng = np.random.default_rng([7, k])
        trace = np.resize(course[: timing.period], n_samples)
        data = np.outer(gain, trace) + raw_sd * rng.standard_normal((len(gain), n_samples))
        raw = mne.io.RawArray(1e-6 * data, info.copy(), verbose="error")
        row.raw(raw)
        its = events.copy()
        its[:, 0] = np.round(its[:, 0] * raw.info["sfreq"] / timing.sfreq)
        epochs = mne.Epochs(
            raw, its, tmin=protocol.tmin, tmax=protocol.tmax, baseline=row.baseline, preload=True,
            verbose="error",
        )  # fmt: skip
        yield k, row.average(epochs.average())


def run_row(bench: Bench, row: Row, n: int, n_verdicts: int) -> dict[str, str]:
    truth = read_evoked_set(bench.folder / "test.zarr", 100.0, 0.0).targets
    plain, special = bench.model(Processing()), bench.model(row.trained)
    as_if, after, verdicts, answer = [], [], Counter[str](), ""
    times = bench.config.simulation.timing.times
    for k, evoked in recordings(bench, row, n):
        declared = recorded_as(evoked, (None, 0.0))
        # The covariance of the filtered raw recording.
        kept = Processing(evoked.info["highpass"] or None, float(evoked.info["lowpass"]))
        gain, noise = projected(evoked, bench.lead_field, bench.noise(kept).averaged(evoked.nave))
        eeg = on_model_grid(evoked, bench.lead_field, times, declared)
        if k == 0:
            answer = answered(plain, eeg, gain, noise.processed(declared))
        if len(eeg["time"]) == len(times):
            blind = network_input(plain, eeg, gain, noise.processed(Processing()))
            as_if.append(inside(plain, blind.observed, blind.sd, truth[k]))
        its = recorded_as(evoked, row.trained.baseline)
        eeg = on_model_grid(evoked, bench.lead_field, times, its)
        given = network_input(special, eeg, gain, noise.processed(its))
        after.append(inside(special, given.observed, given.sd, truth[k]))
        if k < n_verdicts:
            found, _ = estimate(special, eeg, gain, noise.processed(its))
            verdicts[found.best_fit.verdict] += 1
    return {
        "recording": row.name,
        "model without filters": answer,
        "as if nothing was done": coverage(as_if, plain.names),
        "as inferred": coverage(after, special.names),
        "verdicts": ", ".join(f"{v} {c}" for v, c in verdicts.most_common()) or "–",
    }


def answered(model: TrainedModel, eeg: xr.DataArray, lead_field: xr.DataArray, noise: EvokedNoise) -> str:
    """Whether a model accepts a recording."""
    try:
        network_input(model, eeg, lead_field, noise)
    except ValueError:
        return "refuses"
    return "applies"


def not_flat(bench: Bench) -> str:
    """R2 of responses that are not flat in the baseline, by the noise that the network is conditioned on."""
    model, noise, gain = bench.model(NO_FILTER), bench.noise(NO_FILTER), bench.lead_field.values[:, 0]
    part = read_evoked_set(bench.folder / "test.zarr", 100.0, 0.0)
    source = open_archive(bench.folder / "test.zarr")["source"].sel(sim=part.sim).values[:, 0].astype(float)
    weights, sd = spatial_filter(bench.lead_field, noise)
    window = part.epoch.blocks
    whitener, before = inverse_root(noise.covariance), window.first(int((noise.times <= 0).sum()))
    expected = np.diag(before.covariance(noise.temporal_covariance())).mean() * (1 - 1 / len(gain))
    flat = np.sqrt(
        np.mean(before.average(source - source[:, noise.times <= 0].mean(axis=1)[:, None]) ** 2, axis=1)
    )
    index = np.flatnonzero(flat > 0.2 * sd)
    observed, told = [], []
    for k in index:
        eeg = noise.observe(source[k : k + 1], gain, part.sim[k : k + 1], 5)[0]
        observed.append(window.average(weights @ eeg)[None])
        pooled = float((before.average(whitener @ eeg) ** 2).mean() / expected)
        across = baseline_noise(eeg, gain, noise, window).inflation
        told.append(sd * np.sqrt([1.0, max(1.0, pooled), across]))
    lines, truth = (
        [f"{len(index)} of {len(source)} responses are not flat; R2, mean of parameters (A_i)"],
        part.targets[index],
    )
    for name, its in zip(
        ("true noise", "all of the baseline", "across the source"), np.array(told).T, strict=True
    ):
        held = np.clip(its, *model.description.sd_range) if name == "true noise" else its
        found = interval_estimates(model, torch.from_numpy(np.array(observed)).float(), held).value
        r2 = 1 - ((found - truth) ** 2).mean(axis=0) / truth.var(axis=0)
        worst = (its / sd).max()
        lines.append(
            f"{name}: {r2.mean():.2f} ({r2[model.names.index('A_i')]:.2f}), sd at most {worst:.0f} times"
        )
    return "\n".join(lines)


def inside(model: TrainedModel, observed: torch.Tensor, sd: float, truth: np.ndarray) -> np.ndarray:
    found = interval_estimates(model, observed[None], np.array([sd]))
    return (found.low[0] <= truth) & (truth <= found.high[0])


def coverage(found: list[np.ndarray], names: Sequence[str]) -> str:
    if not found:
        return "–"
    each = np.mean(found, axis=0)
    return f"{each.mean():.3f} ({names[int(each.argmin())]} {each.min():.2f})"


def prepare(folder: Path, n_training: int, n_test: int, presentations: int) -> Bench:
    config = Config.model_validate(
        {
            "priors": {"half": {"kind": "relative-uniform", "half_width": 0.5}},
            "campaigns": {
                "train": {"design": "prior", "n": n_training, "prior": "half"},
                "test": {"design": "prior", "n": n_test, "prior": "half"},
            },
            "execution": {"backend": "in-process"},
        }
    )
    for name in config.campaigns:
        run_campaign(config, name, folder, progress=None)
    few = jrflow.lead_field().isel(channel=slice(None, None, 8))
    few = few.copy(data=few.values - few.values.mean())
    size = reference_rms(open_archive(folder / "test.zarr")["source"], few)
    # Of the raw recording, so that the average of 59 epochs has this signal-to-noise ratio.
    factor = 59 * (size * 10 ** (-SNR_DB / 20) / 0.2) ** 2
    return Bench(folder, config, few, factor, presentations)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=120, help="for coverage, of each row")
    parser.add_argument("--verdicts", type=int, default=60, help="judged, of each row")
    parser.add_argument("--presentations", type=int, default=PRESENTATIONS)
    parser.add_argument("--training", type=int, default=N_TRAINING, help="simulations")
    parser.add_argument("--not-flat", action="store_true", help="R2 of responses not flat in the baseline")
    parser.add_argument("--only", nargs="+", help="beginnings of the names of rows")
    parser.add_argument("--out", type=Path)
    a = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows = [row for row in ROWS if not a.only or row.name.startswith(tuple(a.only))]
    table: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="jrflow-preprocessing-") as folder:
        bench = prepare(Path(folder), a.training, a.recordings, a.presentations)
        if a.not_flat:
            print(not_flat(bench))
            return
        for row in rows:
            table.append(run_row(bench, row, a.recordings, a.verdicts))
            print(" | ".join(table[-1].values()), flush=True)
            if a.out:
                header = list(table[0])
                a.out.write_text(markdown(header, [list(line.values()) for line in table]), encoding="utf-8")


if __name__ == "__main__":
    main()
