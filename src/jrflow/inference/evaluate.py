"""Scores of a network on a test campaign, at every noise level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from jrflow.inference.dataset import EvokedSet, target_bounds
from jrflow.inference.diagnostics import diagnose
from jrflow.inference.networks import Network
from jrflow.inference.observation import NoiseLevels
from jrflow.inference.posterior import PosteriorNetwork
from jrflow.inference.randomness import Stream, entropy
from jrflow.inference.trial import Estimates, Trial, observed_at
from jrflow.model.parameters import PARAMETERS

#: Simulations on which a density is diagnosed: enough for the tests, and for their time.
_N_DIAGNOSED = 1000


def evaluate(network: Network, estimator: str, trial: Trial) -> tuple[pd.DataFrame, xr.Dataset]:
    """Score a network at every noise level.

    Parameters
    ----------
    network
        Trained on the trial's training part.
    estimator
        Its name in the tables.
    trial
        What it is put to.

    Returns
    -------
    table
        One row for each noise level and target.
    predictions
        ``true`` (sim, parameter), and ``predicted``, ``low`` and ``high`` (noise, sim, parameter): estimates
        and ends of the 90 % intervals. Of a density also what
        :func:`jrflow.inference.diagnostics.diagnose` finds at every level, on the first simulations.
    """
    rows, estimates, diagnoses = [], [], []
    for level in range(len(trial.noise.names)):
        if isinstance(network, PosteriorNetwork):
            draws = network.draw(*trial.test(level))
            estimates.append(Estimates.of_draws(draws))
            diagnoses.append(diagnosis(trial, draws, level))
        else:
            estimates.append(calibrated_estimates(network, trial, level))
        rows.append(trial.score(estimator, level, estimates[-1]))
    labelled = predictions(trial, estimator, estimates)
    if diagnoses:
        labelled = xr.merge([labelled, xr.concat(diagnoses, labelled["noise"])], combine_attrs="override")
    return pd.concat(rows, ignore_index=True), labelled


def calibrated_estimates(network: Network, trial: Trial, level: int) -> Estimates:
    """Estimates of a network at a level, with intervals calibrated on the validation part."""
    errors = network.predict(*trial.validation(level)) - trial.parts.validation.targets
    return Estimates.calibrated(network.predict(*trial.test(level)), errors)


def diagnosis(trial: Trial, draws: np.ndarray, level: int) -> xr.Dataset:
    """Diagnose draws from the posteriors of the test campaign, (n, n_draws, n_targets), on its first."""
    test, n = trial.parts.test, min(len(draws), _N_DIAGNOSED)
    seed = entropy(trial.seed, Stream.POSTERIOR, level)
    found = diagnose(test.targets[:n], draws[:n], *target_bounds(trial.parts.train.prior), seed)
    return found.rename(sim="diagnosed").assign_coords(parameter=list(test.names))


def network_r2(
    network: Network, test: EvokedSet, noise: NoiseLevels, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """R2 of a network at every noise level: its name, and shape (n_targets,)."""
    for level, name in enumerate(noise.names):
        error = network.predict(*observed_at(test, noise, level, Stream.TEST, seed)) - test.targets
        yield name, 1 - (error**2).mean(axis=0) / test.targets.var(axis=0)


def predictions(trial: Trial, estimator: str, estimates: Sequence[Estimates]) -> xr.Dataset:
    """Estimates at every level, labelled; see :func:`evaluate`."""
    test = trial.parts.test
    units = [PARAMETERS[name].unit if name in PARAMETERS else "1" for name in test.names]
    dims = ("noise", "sim", "parameter")
    return xr.Dataset(
        {
            "true": (dims[1:], test.targets),
            "predicted": (dims, np.stack([e.value for e in estimates])),
            "low": (dims, np.stack([e.low for e in estimates])),
            "high": (dims, np.stack([e.high for e in estimates])),
        },
        coords={
            "sim": test.sim,
            "noise": list(trial.noise.names),
            "parameter": list(test.names),
            "unit": ("parameter", units),
        },
        attrs={
            "preset": test.prior.preset,
            "campaign": test.specification["campaign"],
            "estimator": estimator,
        },
    )
