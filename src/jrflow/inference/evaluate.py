"""Scores of a network on a test campaign, at every noise level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

import numpy as np
import pandas as pd
import torch
import xarray as xr

from jrflow.design.priors import Prior
from jrflow.inference.agreement import agreement, misfit
from jrflow.inference.dataset import EvokedSet
from jrflow.inference.diagnostics import diagnose
from jrflow.inference.gold import likelihood_of
from jrflow.inference.model import TrainedModel
from jrflow.inference.networks import Network
from jrflow.inference.posterior import PosteriorNetwork
from jrflow.inference.randomness import Stream, entropy
from jrflow.inference.refinement import REFINED_FROM, refine
from jrflow.inference.trial import Estimates, Trial, observed_at
from jrflow.model import MODEL
from jrflow.observe.observation import NoiseLevels

#: Simulations on which a density is diagnosed, and of which draws are simulated: enough for the tests, and
#: for their time.
_N_DIAGNOSED, _N_CHECKED = 1000, 100

#: Test simulations of which draws are kept, to show what posteriors look like.
_N_EXAMPLES = 4


def evaluate(
    network: Network, estimator: str, trial: Trial, gold: xr.Dataset | None = None
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Score a network at every noise level.

    Parameters
    ----------
    network
        Trained on the trial's training part.
    estimator
        Its name in the tables.
    trial
        What it is put to.
    gold
        Exact posteriors of the trial's first test simulations, of the same seed; None where there are none.

    Returns
    -------
    table
        One row for each noise level and target.
    predictions
        ``true`` (sim, parameter), and ``predicted``, ``low`` and ``high`` (noise, sim, parameter): estimates
        and ends of the 90 % intervals. Of a density also what
        :func:`jrflow.inference.diagnostics.diagnose` finds at every level, on the first simulations, and the
        ``misfit`` of its draws; with a gold standard what :func:`jrflow.inference.agreement.agreement` says.

    Raises
    ------
    ValueError
        If the gold standard is of other observations.
    """
    if gold is not None:
        _check_same_observations(gold, trial)
    rows, estimates, diagnoses = [], [], []
    for level, name in enumerate(trial.noise.names):
        draws, found = None, []
        if isinstance(network, PosteriorNetwork):
            observed, sd = trial.test(level)
            draws = answered(network.draw(observed, sd), trial.parts.train.prior, trial.seed)
            estimates.append(Estimates.of_draws(draws))
            found = [diagnosis(trial, draws, level), _misfit(trial, draws, level, observed, sd)]
        else:
            estimates.append(calibrated_estimates(network, trial, level))
        if gold is not None:
            n = gold.sizes["case"]
            first = None if draws is None else draws[:n]
            found.append(agreement(gold.sel(noise=name), estimates[-1].value[:n], first))
        diagnoses.append(xr.merge(found))
        rows.append(trial.score(estimator, level, estimates[-1]))
    labelled = predictions(trial, estimator, estimates)
    if diagnoses[0]:
        labelled = xr.merge([labelled, xr.concat(diagnoses, labelled["noise"])], combine_attrs="override")
    return pd.concat(rows, ignore_index=True), labelled


def evaluate_model(
    model: TrainedModel,
    trial: Trial,
    *,
    gold: xr.Dataset | None = None,
    n_refined: int = 0,
    stream: TextIO | None = None,
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Score a trained model; see :func:`evaluate`.

    The predictions of a density hold ``draws`` for the first test simulations.
    The estimates of the first ``n_refined`` test simulations are also refined, with progress on ``stream``,
    and so is the control that starts from the nearest simulations instead (see
    :func:`jrflow.inference.refinement.refine`). Reference posteriors, ``gold``, are compared if they have
    the model's seed; those of another seed belong to other noise.

    Raises
    ------
    ValueError
        If the trial's training campaign is not the one that the model was trained on, or responses are not
        seen as its were.
    """
    given, expected = trial.parts.train.config_hash, model.description.config_hash
    if given != expected:
        raise ValueError(
            f"campaign {trial.parts.train.specification.campaign!r} is not the one that the model was "
            f"trained on (config hash {given[:12]}, expected {expected[:12]}); its split into training and "
            "validation part would be another: give that archive, or train again"
        )
    test = trial.parts.test
    for one in trial.noise.distinct:
        start = float(test.epoch.observed_times[0])
        model.description.check_input(one.direction, test.source.shape[1], start)
    estimator = model.description.estimator
    same = gold is not None and int(gold.attrs["seed"]) == trial.seed
    table, predictions = evaluate(model.network, estimator, trial, gold if same else None)
    for starts in REFINED_FROM if n_refined else ():
        scored, refined = refine(model.network, estimator, trial, n_refined, stream, starts=starts)
        table, predictions = pd.concat([table, scored]), xr.merge([predictions, refined], join="outer")
    if isinstance(model.network, PosteriorNetwork):
        predictions = predictions.assign(draws=example_draws(model.network, trial))
    return table, predictions


def example_draws(network: PosteriorNetwork, trial: Trial) -> xr.DataArray:
    """Draws from the posteriors of the first test simulations, over (noise, example, draw, parameter)."""
    prior, drawn = trial.parts.train.prior, []
    for level in range(len(trial.noise.names)):
        observed, sd = (array[:_N_EXAMPLES] for array in trial.test(level))
        drawn.append(answered(network.draw(observed, sd), prior, trial.seed))
    coords = {"noise": list(trial.noise.names), "parameter": list(trial.parts.test.names)}
    return xr.DataArray(np.stack(drawn), coords, ("noise", "example", "draw", "parameter"))


def answered(draws: np.ndarray, prior: Prior, seed: int) -> np.ndarray:
    """Draws (n, n_draws, n_targets), the prior's where there are none: no answer counts as no knowledge."""
    unanswered = np.isnan(draws).any(axis=(1, 2))
    prior_draws = prior.targets(prior.sample(draws.shape[1], entropy(seed, Stream.POSTERIOR)))
    return np.where(unanswered[:, None, None], prior_draws, draws)


def calibrated_estimates(network: Network, trial: Trial, level: int) -> Estimates:
    """Estimates of a network at a level, with intervals calibrated on the validation part."""
    errors = network.predict(*trial.validation(level)) - trial.parts.validation.targets
    return Estimates.calibrated(network.predict(*trial.test(level)), errors)


def diagnosis(trial: Trial, draws: np.ndarray, level: int) -> xr.Dataset:
    """Diagnose draws from the posteriors of the test campaign, (n, n_draws, n_targets), on its first."""
    test, n = trial.parts.test, min(len(draws), _N_DIAGNOSED)
    seed = entropy(trial.seed, Stream.POSTERIOR, level)
    found = diagnose(test.targets[:n], draws[:n], *trial.parts.train.prior.target_bounds, seed)
    return found.rename(sim="diagnosed").assign_coords(parameter=list(test.names))


def _misfit(
    trial: Trial, draws: np.ndarray, level: int, observed: torch.Tensor, sd: torch.Tensor
) -> xr.Dataset:
    """What draws for the first test simulations leave unexplained, over (checked, simulated)."""
    first, prior = trial.first(_N_CHECKED), trial.parts.test.prior
    n = len(first.parts.test.sim)
    likelihood = likelihood_of(first.parts.test, trial.noise, level, observed[:n], sd[:n])
    parameters = draws[:n, :, : len(prior.names)].clip(prior.low, prior.high)
    return xr.Dataset({"misfit": (("checked", "simulated"), misfit(likelihood, parameters))})


def _check_same_observations(gold: xr.Dataset, trial: Trial) -> None:
    test = trial.parts.test
    given = gold.attrs["campaign"], int(gold.attrs["seed"]), gold["case"].values.tolist()
    expected = test.specification.campaign, trial.seed, test.sim[: gold.sizes["case"]].tolist()
    if given != expected or not np.allclose(gold["true"].values, test.targets[: gold.sizes["case"]]):
        raise ValueError(
            f"expected exact posteriors of the first simulations of {expected[0]!r} in noise of seed "
            f"{expected[1]}, received some of {given[0]!r}, seed {given[1]}: recreate limits/*-gold.nc"
        )


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
    units = [MODEL.space.unit(name) for name in test.names]
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
            "campaign": test.specification.campaign,
            "estimator": estimator,
        },
    )
