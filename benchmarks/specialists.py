"""One network for all noise levels beside networks of its kind that have met one level only.

    python benchmarks/specialists.py results/benchmark [--model bilstm-tuned] [--levels snr-0 snr-20]

Needs a run of examples/benchmark.yaml up to that model. All are trained alike, specialists on --share of its
presentations, and tested on the same observations. docs/results/specialists.csv keeps the scores, and
benchmarks/results.py puts them on the page.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch
from results_page import STORED

from jrflow.config import load_config
from jrflow.inference.data.dataset import read_evoked_set
from jrflow.inference.from_archives import train_model
from jrflow.inference.scoring.evaluate import network_r2
from jrflow.inference.training.model import load_model
from jrflow.observe.levels import read_levels
from jrflow.observe.observation import NoiseLevels


def scores(
    run: Path, name: str, chosen: Sequence[str], share: float, scratch: Path
) -> Iterator[pd.DataFrame]:
    """R² of the model and of a specialist at each level: columns noise, trained_at, parameter, r2."""
    config, model = load_config(run / "config.yaml"), load_model(run / "models" / name)
    campaigns, d = config.inference.trainings[name], model.description
    lead_field, levels, _ = read_levels(run / "eeg" / f"{config.inference.experiment(name)}-noise.nc")
    training = d.training.model_copy(
        update={"max_presentations": round(share * d.training.max_presentations)}
    )
    test = read_evoked_set(run / "archives" / f"{campaigns.test}.zarr", training.sfreq, training.tmin)
    for level in chosen:
        only = {level: levels[level]}
        special = train_model(
            run / "archives" / f"{campaigns.train}.zarr", lead_field, only, training,
            d.architecture.network, d.seed, scratch / level, estimator=name,
        )  # fmt: skip
        noise = NoiseLevels.of(training.spatial, lead_field, only, test.epoch)
        for trained_at, network in (("all levels", model.network), ("this level", special.network)):
            ((_, r2),) = network_r2(network, test, noise, d.seed)
            found = {"noise": level, "trained_at": trained_at, "parameter": test.names, "r2": r2}
            shown = d.training if network is model.network else training
            yield pd.DataFrame(found).assign(estimator=name, n_presentations=shown.max_presentations)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run of examples/benchmark.yaml")
    parser.add_argument("--model", default="bilstm-tuned")
    parser.add_argument("--levels", nargs="+", default=["snr-minus-10", "snr-0", "snr-20"])
    parser.add_argument("--share", type=float, default=0.25, help="of the model's presentations")
    parser.add_argument("--out", type=Path, default=STORED / "specialists.csv")
    a = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="jrflow-specialists-") as folder:
        found = []
        for table in scores(a.run, a.model, a.levels, a.share, Path(folder)):
            found.append(table)
            pd.concat(found).round(5).to_csv(a.out, index=False)
    print(pd.concat(found).groupby(["noise", "trained_at"], sort=False)["r2"].mean().unstack())


if __name__ == "__main__":
    main()
