"""What trained estimators say of recordings that are not what they were trained for, and who would notice.

    python benchmarks/generalisation.py results/benchmark [--recording FILE --cov FILE] [--only source noise]

Needs a run of examples/benchmark.yaml up to its models. A row for each condition and estimator, all at one
signal-to-noise ratio where the condition is not about noise itself. docs/results/generalisation.csv keeps the
rows (judging.py says what its columns are), and benchmarks/results.py puts them on the page.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when NumPy is imported

import conditions as made
import pandas as pd
import torch
from conditions import Bench, Recordings, recorded
from judging import Estimator, response, row
from table import Table

from jrflow.inference.data.dataset import check_same_experiment
from jrflow.inference.from_archives import train_model
from jrflow.inference.recordings.predict import estimate
from jrflow.inference.training.model import TrainedModel, load_model
from jrflow.observe.noise import EvokedNoise

STORED = Path(__file__).parents[1] / "docs/results/generalisation.csv"
#: What is added to a condition's name where the noise told is that of the baseline, as jrflow infer tells it.
BASELINE = ", sd by the baseline"
#: Conditions in which that is another.
OTHER_NOISE = ("20 dB, sd", "noise", "measured covariance, taken", "recorded")
#: The specialist: its level, dB; how many simulations it is shown; where it is tried.
SPECIAL, PRESENTATIONS, TRIED = 20.0, 400_000, ("0 dB", "20 dB", "30 dB")


def conditions(bench: Bench, a: argparse.Namespace) -> dict[str, Callable[[], Recordings]]:
    """Recordings by the name of their condition, made when asked for."""
    noise, ours, seed, sfreq = bench.white(a.snr_db), bench.simulations, bench.seed, 1000.0
    known = {f"{db:g} dB": _at(bench, db) for db in (0, 20, 30, 15, -20, 70)}
    at = f"{a.snr_db:g} dB"
    found = known | {
        f"{at}, sd told half": lambda: made.told(_at(bench, a.snr_db)(), 0.5),
        f"{at}, sd told twice": lambda: made.told(_at(bench, a.snr_db)(), 2.0),
    }
    for name, correlation in (("AR(1), 20 ms", made.autoregressive), ("1/f", made.pink)):
        found[f"noise {name}"] = lambda c=correlation: recorded(
            ours, bench.lead_field, noise, seed, made.coloured(noise, c(sfreq))
        )
    if a.recording and a.cov:
        found["measured covariance, known"] = lambda: made.measured(bench, a.recording, a.cov, False)
        found["measured covariance, taken for white"] = lambda: made.measured(bench, a.recording, a.cov, True)
    found["source 15 mm away"] = lambda: made.elsewhere(bench, made.NEARBY, a.snr_db)
    found["source in another lobe"] = lambda: made.elsewhere(bench, made.FAR, a.snr_db)
    found["montage of 32, own lead field"] = lambda: made.montage(bench, "biosemi32", a.snr_db)
    found["recorded at 250 Hz"] = lambda: made.resampled(bench, 4, a.snr_db)
    for ms in (40, 60, 100):
        found[f"pulse of {ms} ms"] = lambda ms=ms: _of(
            bench, f"pulse-{ms}", 0.5, noise, stim_duration=ms / 1e3
        )
    for name, least, most in (("one or two", 1, 2), ("three or more", 3, 9)):
        found[f"{name} parameters outside the prior"] = lambda lo=least, hi=most: _outside(
            bench, noise, lo, hi
        )
    return found


def _at(bench: Bench, snr_db: float) -> Callable[[], Recordings]:
    return lambda: recorded(bench.simulations, bench.lead_field, bench.white(snr_db), bench.seed)


def _of(bench: Bench, name: str, half_width: float, noise: EvokedNoise, **protocol: float) -> Recordings:
    ours = bench.simulate(name, half_width, **protocol)
    return recorded(ours, bench.lead_field, noise, bench.seed)


def _outside(bench: Bench, noise: EvokedNoise, least: int, most: int) -> Recordings:
    wide = bench.simulate("wide", 0.75)
    found = recorded(wide, bench.lead_field, noise, bench.seed)
    return found.take(made.beyond_the_prior(bench, wide, least, most))


def refused(bench: Bench, model: TrainedModel, a: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Conditions that are no recording for this model, and what it says."""
    given, other = _at(bench, a.snr_db)(), made.montage(bench, "biosemi32", a.snr_db)
    one = response(given, 0)
    attempts = {
        "lead field of another montage": lambda: estimate(model, one, other.lead_field, other.noise),
        "250 Hz, not brought to the model's times": lambda: estimate(
            model, one.isel(time=slice(None, None, 4)), given.lead_field, given.noise
        ),
        "a test campaign with pulses of 100 ms": lambda: check_same_experiment(
            bench.simulations.part, bench.simulate("pulse-100", 0.5, stim_duration=0.1).part
        ),
    }
    for name in [name for name in attempts if name.startswith(tuple(a.only))]:
        try:
            attempts[name]()
        except ValueError as error:
            yield name, " ".join(str(error).split())
        else:
            yield name, "not refused"


def specialist(bench: Bench, like: TrainedModel) -> Estimator:
    """A network of the same kind that has met one level only."""
    training = like.description.training.model_copy(update={"max_presentations": PRESENTATIONS})
    model = train_model(
        bench.run / "archives/train.zarr", bench.lead_field, {"only": bench.white(SPECIAL)}, training,
        like.description.architecture.network, bench.seed, bench.scratch / "specialist",
    )  # fmt: skip
    return Estimator(f"{like.description.estimator}, {SPECIAL:g} dB only", model, bench)


def rows(bench: Bench, estimators: Sequence[Estimator], a: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for name, make in conditions(bench, a).items():
        if not name.startswith(tuple(a.only)):
            continue
        given = make()
        chosen = [e for e in estimators if not e.name.endswith("only") or name in TRIED]
        for estimator in chosen:
            other = name.startswith(OTHER_NOISE)
            # Its verdicts are of the noise that the baseline tells: they stand there, where that is another.
            yield {"condition": name} | row(estimator, given, False, 0 if other else a.recordings)
            if other:
                yield {"condition": name + BASELINE} | row(estimator, given, True, a.recordings)
    for name, message in refused(bench, estimators[0].model, a):
        yield {"condition": name, "message": message}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run of examples/benchmark.yaml")
    parser.add_argument("--models", nargs="+", default=["mlp", "bilstm-128", "npe"])
    parser.add_argument("--specialist", default="bilstm", help="model whose kind is trained at one level")
    parser.add_argument("--snr-db", type=float, default=20.0)
    parser.add_argument("--n", type=int, default=400, help="simulations for each condition")
    parser.add_argument("--recordings", type=int, default=20, help="of them, those that jrflow infer judges")
    parser.add_argument("--recording", type=Path, help="MNE file with digitised electrodes (.fif)")
    parser.add_argument("--cov", type=Path, help="its noise covariance (-cov.fif)")
    parser.add_argument("--only", nargs="*", default=[""], help="beginnings of conditions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=STORED)
    a = parser.parse_args(argv)
    torch.set_num_threads(1)
    models = {name: load_model(a.run / "models" / name) for name in a.models}
    with tempfile.TemporaryDirectory(prefix="jrflow-generalisation-") as folder:
        bench = Bench(a.run, Path(folder), models[a.models[0]].description, a.n, a.seed)
        estimators = [Estimator(name, model, bench) for name, model in models.items()]
        if a.specialist:
            estimators.append(specialist(bench, load_model(a.run / "models" / a.specialist)))
        a.out.parent.mkdir(parents=True, exist_ok=True)
        found = []
        for one in rows(bench, estimators, a):
            found.append(one)
            print(*list(one.values())[:2], file=sys.stderr, flush=True)
            # After each: an hour's work is not lost with its last row.
            frame = pd.DataFrame(found)
            frame.round(4).to_csv(a.out, index=False)
    print(as_text(frame))
    return 0


def as_text(frame: pd.DataFrame) -> Table:
    columns = ["n", "r2_A_e", "r2_b_e", "r2_mean", "coverage_90", "bias", "misfit", "best_fit", "flagged"]
    table = Table("generalisation", *columns, "explained", "by_model", "in_range")
    for _, one in frame.dropna(subset=["estimator"]).iterrows():
        cells = [
            f"{one[name]:.0f}" if name == "n" else f"{one[name]:.2f}"
            for name in [*columns, "explained", "by_model"]
        ]
        table.add(f"{one['condition']} | {one['estimator']}", *cells, "yes" if one["in_range"] else "NO")
    return table


if __name__ == "__main__":
    raise SystemExit(main())
