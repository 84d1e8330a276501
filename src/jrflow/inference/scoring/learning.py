"""Benefit of more simulations, and of more epochs over the same simulations."""

from __future__ import annotations

import sys
from typing import TextIO

import numpy as np
import pandas as pd

from jrflow.config.inference import LearningCurveConfig, TrainingConfig
from jrflow.config.networks import NetworkConfig
from jrflow.inference.scoring.comparison import Parts
from jrflow.inference.scoring.evaluate import network_r2
from jrflow.inference.training.train import train
from jrflow.observe.observation import NoiseLevels


def learning_curve(
    parts: Parts,
    noise: NoiseLevels,
    training: TrainingConfig,
    network: NetworkConfig,
    curve: LearningCurveConfig,
    seed: int,
    *,
    progress: TextIO | None = sys.stderr,
) -> pd.DataFrame:
    """Train on increasing numbers of simulations with equal presentations, and longer on the smallest number.

    Parameters
    ----------
    parts
        Data. Each training run uses the first simulations of the training part; all use the same validation
        part and test campaign.
    noise, training, network
        Noise levels and settings of the model. The number of presentations is replaced.
    curve
        Numbers of simulations and of presentations.
    seed
        Seed of every training run.
    progress
        Stream for progress; None for no output.

    Returns
    -------
    pd.DataFrame
        Columns n_simulations, n_presentations (as configured; a training run uses the closest whole number
        of epochs), epochs, noise, parameter, r2.

    Raises
    ------
    ValueError
        If the training part is smaller than the largest size.
    """
    if curve.sizes[-1] > len(parts.train.sim):
        raise ValueError(
            f"learning_curve.sizes: {curve.sizes[-1]} training simulations are configured, but only "
            f"{len(parts.train.sim)} can be used ({sum(parts.train.excluded.values())} of the campaign were "
            "left out); choose a smaller size or enlarge the campaign"
        )
    runs = [(size, curve.presentations) for size in curve.sizes]
    runs.append((curve.sizes[0], curve.presentations * curve.more_epochs))
    tables = []
    for size, presentations in runs:
        data = parts.train.take(np.arange(size))
        config = training.model_copy(update={"max_presentations": presentations})
        label = f"{size} simulations"
        fit = train(data, parts.validation, noise, config, network, seed, name=label, progress=progress)
        for level, r2 in network_r2(fit.network, parts.test, noise, seed):
            table = pd.DataFrame({"parameter": parts.test.names, "r2": r2})
            tables.append(
                table.assign(
                    n_simulations=size, n_presentations=presentations, epochs=len(fit.history), noise=level
                )
            )
    columns = ["n_simulations", "n_presentations", "epochs", "noise", "parameter", "r2"]
    return pd.concat(tables, ignore_index=True)[columns]
