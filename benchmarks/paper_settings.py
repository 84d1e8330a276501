"""What separates the paper's network from jrflow's: R2 of each parameter, one change after the other.

    python benchmarks/paper_settings.py [--snr-db 20] [--preset unit-consistent] [--only paper tree] [--quick]

A line that begins with + changes one thing more than the line above it. All are trained on simulations of one
campaign (a prior of +-50 %) and tested on the same 2,000 in the same noise. All networks but jrflow's last
are shown as many simulations as the paper's in its 150 epochs, or fewer where nothing improves for 50. Every
process takes a line at a time, with one thread.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when NumPy is imported

import numpy as np
import torch
from table import Table

from jrflow.archive import open_archive
from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import BiLSTMConfig
from jrflow.inference.data.dataset import EvokedSet, read_evoked_set, split
from jrflow.inference.data.drawing import draw_observations
from jrflow.inference.data.randomness import Stream, torch_generator
from jrflow.inference.networks.scaling import InputScaling
from jrflow.inference.scoring.baselines import FeatureTrees
from jrflow.inference.scoring.evaluate import network_r2
from jrflow.inference.training.paper import PaperBiLSTM, PaperSettings
from jrflow.inference.training.train import train
from jrflow.limits.fisher import recovery_limits
from jrflow.observe.head import lead_field
from jrflow.observe.noise import noise_level
from jrflow.observe.observation import NoiseLevels
from jrflow.observe.projection import reference_rms

#: Simulations shown by the paper's settings: 150 epochs over 81 % of 1,000.
PRESENTATIONS = 121_500


@dataclass(frozen=True)
class Line:
    """One line of the table; as many simulations as there are where ``n`` is None."""

    kind: Literal["paper", "jrflow", "trees", "limit"] = "paper"
    seen: Literal["channels", "projected", "components"] = "channels"
    n: int | None = 1000
    fresh: bool = False
    settings: PaperSettings = field(default_factory=PaperSettings)
    presentations: int = PRESENTATIONS


UNIT = PaperSettings(input_rms=1.0)
MSE = replace(UNIT, loss="mse", target_scaling="standard")
ALL = Line(seen="components", n=None, fresh=True, settings=MSE)

LINES = {
    "paper": Line(),
    "+ input of unit size": Line(settings=UNIT),
    "+ projected": Line(seen="projected", settings=UNIT),
    "+ fresh noise": Line(seen="projected", settings=UNIT, fresh=True),
    "+ more simulations": Line(seen="projected", settings=UNIT, fresh=True, n=None),
    "+ MSE, standardised": Line(seen="projected", settings=MSE, fresh=True, n=None),
    "+ components": ALL,
    "+ no dropout": replace(ALL, settings=replace(MSE, dropout=0.0)),
    "paper but components": Line(seen="components", settings=UNIT),
    "all but fresh noise": replace(ALL, fresh=False),
    "all but more simulations": replace(ALL, n=1000),
    "all but MSE, standardised": replace(ALL, settings=UNIT),
    "jrflow, shown as often": Line(kind="jrflow", n=None),
    "jrflow": Line(kind="jrflow", n=None, presentations=TrainingConfig().max_presentations),
    "trees, as many as paper": Line(kind="trees"),
    "trees, more simulations": Line(kind="trees", n=None),
    "limit": Line(kind="limit"),
}


@dataclass(frozen=True)
class Bench:
    """Two campaigns and one noise level; made once, opened by every process."""

    folder: Path
    preset: str
    snr_db: float
    sfreq: float
    seed: int

    def config(self, n: int = 1, n_test: int = 1) -> Config:
        campaign: dict[str, Any] = {"design": "prior", "preset": self.preset, "prior": "half"}
        return Config.model_validate(
            {
                "priors": {"half": {"kind": "relative-uniform"}},
                "campaigns": {"train": campaign | {"n": n}, "test": campaign | {"n": n_test}},
                "eeg": {"noise": {"noise": {"kind": "snr", "snr_db": self.snr_db}}},
                "execution": {"backend": "in-process"},
            }
        )

    @cached_property
    def training(self) -> TrainingConfig:
        return TrainingConfig(sfreq=self.sfreq)

    @property
    def network(self) -> BiLSTMConfig:
        return BiLSTMConfig(samples_per_step=max(1, round(self.sfreq / 5)))

    @cached_property
    def parts(self) -> tuple[EvokedSet, EvokedSet, EvokedSet]:
        train, test = (
            read_evoked_set(self.folder / f"{name}.zarr", self.sfreq, self.training.tmin)
            for name in ("train", "test")
        )
        return *split(train, self.training.validation_fraction, self.seed), test

    @cached_property
    def levels(self) -> dict[str, Any]:
        config, archive = self.config(), open_archive(self.folder / "train.zarr")
        size = reference_rms(archive["source"].where(archive["status"] == 0), self.lead_field)
        timing = config.simulation.timing
        return {"noise": noise_level(config.eeg.noise["noise"], self.lead_field, timing, size)}

    @cached_property
    def lead_field(self) -> Any:
        eeg = self.config().eeg
        return lead_field(eeg.head, eeg.source)

    def noise(self, spatial: Literal["channels", "projected"]) -> NoiseLevels:
        return NoiseLevels.of(spatial, self.lead_field, self.levels, self.parts[0].epoch)


class View:
    """What a line's network sees of responses."""

    def __init__(self, bench: Bench, seen: str, data: EvokedSet) -> None:
        noise = bench.noise("channels" if seen == "channels" else "projected")
        self.observation = noise.observations[0]
        width = bench.network.samples_per_step
        self.scaling = None
        if seen == "components":
            self.scaling = InputScaling.fit(data.source, self.observation.temporal, width)

    def observe(self, source: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        clean = torch.from_numpy(source)
        sd = torch.full((len(clean),), self.observation.sd)
        seen = draw_observations(self.observation, clean, sd, generator)
        return seen if self.scaling is None else self._components(seen[:, 0])

    def _components(self, projected: torch.Tensor) -> torch.Tensor:
        """As jrflow's network has them: a step is some samples, turned, less what is noise; (n, k, steps)."""
        assert self.scaling is not None
        mean, basis, variance = (
            torch.from_numpy(a).float()
            for a in (self.scaling.mean, self.scaling.basis, self.scaling.variance)
        )
        turned = torch.einsum("nsk,skj->njs", projected[:, self.scaling.index] - mean, basis)
        return turned * (variance.sqrt() / (variance + self.observation.sd**2)).T


def run_line(bench: Bench, name: str, line: Line) -> tuple[str, np.ndarray, float]:
    """R2 of every target, and seconds."""
    torch.set_num_threads(1)
    begin, train_set = time.perf_counter(), bench.parts[0]
    data = train_set.take(np.arange(len(train_set.sim))[: line.n])
    run = {"paper": _paper, "jrflow": _jrflow, "trees": _trees, "limit": _limit}[line.kind]
    return name, run(bench, line, data), time.perf_counter() - begin


def _paper(bench: Bench, line: Line, data: EvokedSet) -> np.ndarray:
    view, test = View(bench, line.seen, data), bench.parts[2]
    observed = view.observe(data.source, torch_generator(bench.seed, Stream.TREES))
    epochs = max(1, round(line.presentations / (0.81 * len(data.sim))))
    settings = replace(line.settings, n_simulations=len(data.sim), max_epochs=epochs)

    def redraw(index: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return view.observe(data.source[index.numpy()], generator)

    model = PaperBiLSTM.fit(
        observed.numpy(), data.targets, seed=bench.seed, settings=settings,
        redraw=redraw if line.fresh else None,
    )  # fmt: skip
    best = int(np.argmin(model.history)) + 1
    print(f"  best after epoch {best} of {len(model.history)}, {epochs} at most", file=sys.stderr, flush=True)
    seen = view.observe(test.source, torch_generator(bench.seed, Stream.TEST, 0))
    return _r2(test, model.predict(seen.numpy()))


def _jrflow(bench: Bench, line: Line, data: EvokedSet) -> np.ndarray:
    config = bench.training.model_copy(update={"max_presentations": line.presentations})
    noise = bench.noise("projected")
    fit = train(data, bench.parts[1], noise, config, bench.network, bench.seed, progress=None)
    return next(network_r2(fit.network, bench.parts[2], noise, bench.seed))[1]


def _trees(bench: Bench, line: Line, data: EvokedSet) -> np.ndarray:
    view, test = View(bench, "projected", data), bench.parts[2]
    seen = view.observe(data.source, torch_generator(bench.seed, Stream.TREES))[:, 0].numpy()
    trees = FeatureTrees.fit(seen, data.targets, data.epoch.observed_times, seed=bench.seed)
    tested = view.observe(test.source, torch_generator(bench.seed, Stream.TEST, 0))[:, 0].numpy()
    return _r2(test, trees.predict(tested))


def _limit(bench: Bench, line: Line, data: EvokedSet) -> np.ndarray:
    config = bench.config()
    limits = recovery_limits(
        data.prior, bench.lead_field, bench.levels, config.simulation, config.limits, bench.seed
    )
    return limits["r2_limit"].sel(noise="noise", parameter=list(data.names)).values


def _r2(test: EvokedSet, estimated: np.ndarray) -> np.ndarray:
    return 1 - ((estimated - test.targets) ** 2).mean(axis=0) / test.targets.var(axis=0)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snr-db", type=float, default=20.0)
    parser.add_argument("--preset", default="unit-consistent")
    parser.add_argument("--sfreq", type=float, default=50.0, help="rate of what is seen, Hz")
    parser.add_argument("--more", type=int, default=10_000, help="simulations, where there are more")
    parser.add_argument("--only", nargs="*", default=[""], help="beginnings of lines")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="a twentieth of the training")
    arguments = parser.parse_args(argv)
    lines = {name: line for name, line in LINES.items() if name.startswith(tuple(arguments.only))}
    if arguments.quick:
        lines = {k: replace(line, presentations=line.presentations // 20) for k, line in lines.items()}
    print(f"{platform.machine()}, PyTorch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="jrflow-paper-") as folder:
        a = arguments
        bench = Bench(Path(folder), a.preset, a.snr_db, a.sfreq, a.seed)
        config = bench.config(round(a.more / 0.9), 2000)
        for campaign in ("train", "test"):
            run_campaign(config, campaign, bench.folder, progress=None)
        title = f"R2 on 2,000 simulations, {a.preset}, {a.snr_db:g} dB, {a.sfreq:g} Hz, seed {a.seed}"
        table = Table(title, *bench.parts[0].names, "mean", "s")
        with ProcessPoolExecutor(a.processes, mp_context=get_context("spawn")) as pool:
            for future in [pool.submit(run_line, bench, *item) for item in lines.items()]:
                name, r2, seconds = future.result()
                cells = [f"{value:.2f}" for value in (*r2, r2.mean())]
                table.add(name, *cells, f"{seconds:.0f}")
                print(table.lines[-1], file=sys.stderr, flush=True)
    print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
