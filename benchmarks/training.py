"""jrflow's training beside a bare PyTorch loop, and where the time of a presentation goes.

    python benchmarks/training.py [--only bilstm settings] [--repeats 7] [--core 0] [--quick]

A small campaign is simulated (a prior of +-50 %, 100 Hz, projected) and every kind of network is trained on
it with its default sizes, an epoch a turn. *jrflow* is ``Session.run_epoch``, its validation, clipping,
schedule and record included; *its steps* is the same less what follows the last step (validation, record).
Three bare loops have the same network, batches, shuffling and Adam, and no schedule, validation or record:
*resident* is shown noisy inputs that were made beforehand and stay the same, *fresh* adds white noise by a
plain ``torch.randn`` at every step, *alike* adds noise correlated over time and clips gradients, as jrflow
does. *Resident* and *fresh* clip nothing.

On a CPU it is CPU time of one thread; on a GPU, wall time with the queue waited for, also in bfloat16.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when NumPy is imported

import numpy as np
import torch
import xarray as xr
from pydantic import TypeAdapter
from table import Table
from turns import in_turns

from jrflow.archive import open_archive
from jrflow.campaign import run_campaign
from jrflow.config import Config
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import NetworkConfig
from jrflow.inference.data.dataset import EvokedSet, read_evoked_set, split
from jrflow.inference.data.drawing import draw_observations
from jrflow.inference.networks.network import Network
from jrflow.inference.training.optimisers import Optimisers
from jrflow.inference.training.parallel import Ranks
from jrflow.inference.training.session import Plan, Session
from jrflow.inference.training.train import untrained_network
from jrflow.observe.noise import noise_level
from jrflow.observe.observation import NoiseLevels
from jrflow.observe.projection import reference_rms

KINDS = ("bilstm", "lstm", "cnn_bilstm", "transformer", "mlp", "npe")
PARTS = (*KINDS, "settings")
LOOPS = ("resident", "fresh", "alike")
SNR_DB = (30.0, 10.0)
#: Rate of what is seen (Hz) and samples of a step, for the table of settings.
SAMPLINGS = ((100, 1), (100, 5), (100, 20), (200, 20), (200, 40))
BATCH_SIZES = (64, 256)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
#: So many epochs that the learning rate's cycle does not end meanwhile.
N_EPOCHS = 10_000


def clock() -> float:
    """CPU time, or on a GPU wall time when all that was asked of it is done."""
    if DEVICE.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


@dataclass(frozen=True)
class Data:
    """One campaign, and the noise that it is trained in."""

    store: Path
    lead_field: xr.DataArray
    levels: dict[str, Any]

    @classmethod
    def simulate(cls, n: int, folder: Path) -> Data:
        """Simulate ``n`` responses, and noise of eight channels that see one patch."""
        config = Config.model_validate(
            {
                "priors": {"half": {"kind": "relative-uniform"}},
                "campaigns": {"train": {"design": "prior", "n": n, "prior": "half"}},
                "eeg": {"noise": {f"snr-{db:g}": {"kind": "snr", "snr_db": db} for db in SNR_DB}},
                "execution": {"backend": "in-process"},
            }
        )
        run_campaign(config, "train", folder, progress=None)
        gain = np.random.default_rng(3).standard_normal((8, 1))
        coords = {"channel": [f"E{i}" for i in range(8)], "region": ["column"]}
        lead_field = xr.DataArray(gain - gain.mean(axis=0), coords, ("channel", "region"))
        size = reference_rms(open_archive(folder / "train.zarr")["source"], lead_field)
        levels = {
            name: noise_level(level, lead_field, config.simulation.timing, size)
            for name, level in config.eeg.noise.items()
        }
        return cls(folder / "train.zarr", lead_field, levels)


class Timed(Session):
    """A session that remembers how long what follows the last step of an epoch took, s."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.recording: list[float] = []

    def _record(self, training_loss: float) -> None:
        begin = clock()
        super()._record(training_loss)
        self.recording.append(clock() - begin)


@dataclass(frozen=True)
class Case:
    """One network, trained on one campaign."""

    training: EvokedSet
    validation: EvokedSet
    noise: NoiseLevels
    config: TrainingConfig
    network: NetworkConfig

    @classmethod
    def of(cls, data: Data, network: dict[str, Any], **training: Any) -> Case:
        section: TypeAdapter[NetworkConfig] = TypeAdapter(NetworkConfig)
        config = TrainingConfig(**training)
        whole = read_evoked_set(data.store, config.sfreq, config.tmin)
        noise = NoiseLevels.of(config.spatial, data.lead_field, data.levels, whole.epoch)
        parts = split(whole, config.validation_fraction, seed=0)
        config = config.model_copy(update={"max_presentations": N_EPOCHS * len(parts[0].sim)})
        return cls(*parts, noise, config, section.validate_python(network))

    @property
    def sd_range(self) -> tuple[float, float]:
        return self.noise.sd_range(self.config.noise_margin)

    def untrained(self) -> Network:
        network = untrained_network(self.training, self.noise, self.network, self.sd_range, 0).to(DEVICE)
        network.mixed = self.config.precision == "bfloat16"
        return network.train()

    def session(self) -> Timed:
        plan = Plan.of(len(self.training.sim), self.config, self.network.learning_rate)
        network = self.untrained()
        data = self.training, self.validation, self.noise, self.sd_range
        return Timed(network, Optimisers.of(network), plan, *data, 0, Ranks.alone(DEVICE))

    def resident(self, network: Network) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Clean responses (n, n_inputs, n_samples), size of the noise (n,), and targets, on the device."""
        source = torch.from_numpy(self.training.source).to(DEVICE)
        sd = torch.exp(torch.empty(len(source), device=DEVICE).uniform_(*np.log(self.sd_range)))
        direction = torch.as_tensor(self.noise.observations[0].direction, dtype=torch.float32, device=DEVICE)
        return direction[:, None] * source[:, None], sd, network.standardise(self.training.targets)


def bare_loop(case: Case, way: str) -> Callable[[], int]:
    """An epoch of what anybody would write; see the top for the ways."""
    network = case.untrained()
    optimiser = torch.optim.Adam(network.parameters(), lr=case.network.learning_rate, fused=True)
    clean, sd, wanted = case.resident(network)
    generator, observation = torch.Generator(DEVICE), case.noise.observations[0]
    made = clean + sd[:, None, None] * torch.randn_like(clean)

    def observed(index: torch.Tensor) -> torch.Tensor:
        if way == "resident":
            return made[index]
        if way == "alike":
            return draw_observations(observation, clean[index, 0], sd[index], generator)
        return clean[index] + sd[index, None, None] * torch.randn(len(index), *clean.shape[1:], device=DEVICE)

    def run() -> int:
        for index in torch.randperm(len(clean), device=DEVICE).split(case.config.batch_size):
            optimiser.zero_grad()
            network(observed(index), sd[index], wanted[index]).backward()
            if way == "alike":
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
        return len(clean)

    return run


def beside(table: Table, name: str, case: Case, repeats: int) -> None:
    """A line of samples per second: the bare loops and jrflow, and ratios of them."""
    session, n = case.session(), len(case.training.sim)
    ways: dict[str, Callable[[], int]] = {way: bare_loop(case, way) for way in LOOPS}
    ways["jrflow"] = lambda: session.run_epoch() or n
    measured = in_turns(ways, repeats, clock, turn=0)
    seconds = {word: np.array(found.seconds) for word, found in measured.items()}
    seconds["steps"] = seconds["jrflow"] - session.recording[1:]
    # Of each turn's epochs, which met much the same machine, before the median is taken.
    pairs = [("steps", way) for way in LOOPS] + [("jrflow", "fresh")]
    ratios = [f"{np.median(seconds[loop] / seconds[part]):.2f}" for part, loop in pairs]
    table.add(name, *(f"{n / np.median(seconds[word]):,.0f}" for word in measured), *ratios)


def side_by_side(cases: Iterable[tuple[str, Case]], title: str, repeats: int) -> Table:
    ratios = [f"its steps/{way}" for way in LOOPS]
    table = Table(title, *LOOPS, "jrflow", *ratios, "jrflow/fresh")
    for name, case in cases:
        beside(table, name, case, repeats)
    return table


class Laps:
    """Time of each part of a step, s: what passed since the part before it ended."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._last = clock()

    def lap(self, name: str) -> None:
        now = clock()
        self.parts[name] = self.parts.get(name, 0.0) + now - self._last
        self._last = now


def epoch_in_parts(case: Case, network: Network, optimisers: Optimisers) -> dict[str, float]:
    """Steps as ``Session`` takes them, each part timed alone; s of an epoch."""
    source = torch.from_numpy(case.training.source).to(DEVICE)
    sd, wanted = case.resident(network)[1:]
    generator, observation, laps = torch.Generator(DEVICE), case.noise.observations[0], Laps()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: laps.lap(name))
        for name, module in (("front", network.front), ("body", network.body))
    ]
    for index in torch.randperm(len(source), device=DEVICE).split(case.config.batch_size):
        laps.lap("rest")
        observed = draw_observations(observation, source[index], sd[index], generator)
        laps.lap("noise")
        loss = network(observed, sd[index], wanted[index])
        laps.lap("head, loss")
        optimisers.zero_grad()
        loss.backward()
        laps.lap("backward")
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        laps.lap("clipping")
        optimisers.step()
        laps.lap("Adam")
    for hook in hooks:
        hook.remove()
    return laps.parts


def in_parts(cases: Iterable[tuple[str, Case]], repeats: int) -> Table:
    names = ("noise", "front", "body", "head, loss", "backward", "clipping", "Adam")
    table = Table("Where the time of a presentation goes, us", *names, "sum")
    for name, case in cases:
        network, n = case.untrained(), len(case.training.sim)
        optimisers = Optimisers.of(network)
        runs = [epoch_in_parts(case, network, optimisers) for _ in range(repeats + 1)][1:]
        medians = [1e6 / n * statistics.median(run[part] for run in runs) for part in names]
        table.add(name, *(f"{value:.3g}" for value in (*medians, sum(medians))))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=PARTS, choices=PARTS, help="kinds, settings")
    parser.add_argument("--n-sims", type=int, default=2276, help="simulations; a tenth is for validation")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--core", type=int, help="core to stay on, without a GPU")
    parser.add_argument("--quick", action="store_true", help="few simulations, two repeats")
    a = parser.parse_args(argv)
    n_sims, repeats = (1138, 2) if a.quick else (a.n_sims, a.repeats)
    if DEVICE.type == "cpu":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0)) if a.core is None else a.core})
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"{platform.machine()}, one thread"
    print(f"{name}, PyTorch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    precisions = ("float32", "bfloat16") if DEVICE.type == "cuda" else ("float32",)
    with tempfile.TemporaryDirectory(prefix="jrflow-training-") as folder:
        data = Data.simulate(n_sims, Path(folder))
        for precision in precisions if set(a.only) & set(KINDS) else ():
            cases = {
                kind: Case.of(data, {"kind": kind}, precision=precision) for kind in KINDS if kind in a.only
            }
            title = f"Samples a second, {precision}, batches of {TrainingConfig().batch_size}"
            print(side_by_side(cases.items(), title, repeats), flush=True)
            print(in_parts(cases.items(), repeats), flush=True)
        if "settings" in a.only:
            print(side_by_side(settings(data), "Samples a second, bilstm", max(2, repeats // 2)))
    return 0


def settings(data: Data) -> Iterator[tuple[str, Case]]:
    """The Bi-LSTM with more and fewer samples a step, at two rates, in small and large batches."""
    for batch_size in BATCH_SIZES:
        for sfreq, samples in SAMPLINGS:
            network = {"kind": "bilstm", "samples_per_step": samples}
            name = f"{sfreq} Hz, {samples} a step ({sfreq // samples} steps), batch {batch_size}"
            yield name, Case.of(data, network, sfreq=sfreq, batch_size=batch_size)


if __name__ == "__main__":
    raise SystemExit(main())
