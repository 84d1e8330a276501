"""Scores of a network on a test campaign, at every noise level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

import numpy as np
import pandas as pd
import torch
import xarray as xr

from jrflow.design.priors import Prior
from jrflow.inference.data.dataset import EvokedSet
from jrflow.inference.data.randomness import Stream, entropy
from jrflow.inference.networks.network import Network
from jrflow.inference.networks.posterior import PosteriorNetwork
from jrflow.inference.scoring.agreement import agreement, misfit
from jrflow.inference.scoring.comparison import Comparison, Estimates, observed_at
from jrflow.inference.scoring.diagnostics import diagnose
from jrflow.inference.scoring.reference import likelihood_of
from jrflow.inference.scoring.refinement import REFINED_FROM, refine
from jrflow.inference.training.model import TrainedModel
from jrflow.model import MODEL
from jrflow.observe.observation import NoiseLevels

#: Number of test simulations for the diagnostics of a density, and for simulations from its draws; a
#: compromise between precision and time.
_N_DIAGNOSED, _N_CHECKED = 1000, 100

#: Number of test simulations whose draws are kept as examples of posteriors.
_N_EXAMPLES = 4


def evaluate(
    network: Network, estimator: str, comparison: Comparison, reference: xr.Dataset | None = None
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Score a network at every noise level.

    Parameters
    ----------
    network
        Network trained on the training part of the comparison.
    estimator
        Name of the network in the tables.
    comparison
        Data, noise levels and limits.
    reference
        Reference posteriors of the first test simulations, with the same seed; None if there are none.

    Returns
    -------
    table
        Scores, one row for each noise level and target.
    predictions
        ``true`` (sim, parameter), and ``predicted``, ``low`` and ``high`` (noise, sim, parameter): estimates
        and ends of the 90 % intervals. For a density estimator also the results of
        :func:`jrflow.inference.scoring.diagnostics.diagnose` at every level, for the first simulations, and
        the ``misfit`` of its draws. With reference posteriors also the results of
        :func:`jrflow.inference.scoring.agreement.agreement`.

    Raises
    ------
    ValueError
        If the reference posteriors belong to other observations.
    """
    if reference is not None:
        _check_same_observations(reference, comparison)
    rows, estimates, diagnoses = [], [], []
    for level, name in enumerate(comparison.noise.names):
        draws, found = None, []
        if isinstance(network, PosteriorNetwork):
            observed, sd = comparison.test(level)
            draws = answered(network.draw(observed, sd), comparison.parts.train.prior, comparison.seed)
            estimates.append(Estimates.of_draws(draws))
            found = [diagnosis(comparison, draws, level), _misfit(comparison, draws, level, observed, sd)]
        else:
            estimates.append(calibrated_estimates(network, comparison, level))
        if reference is not None:
            n = reference.sizes["case"]
            first = None if draws is None else draws[:n]
            found.append(agreement(reference.sel(noise=name), estimates[-1].value[:n], first))
        diagnoses.append(xr.merge(found))
        rows.append(comparison.score(estimator, level, estimates[-1]))
    labelled = predictions(comparison, estimator, estimates)
    if diagnoses[0]:
        labelled = xr.merge([labelled, xr.concat(diagnoses, labelled["noise"])], combine_attrs="override")
    return pd.concat(rows, ignore_index=True), labelled


def evaluate_model(
    model: TrainedModel,
    comparison: Comparison,
    *,
    reference: xr.Dataset | None = None,
    n_refined: int = 0,
    stream: TextIO | None = None,
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Score a trained model; see :func:`evaluate`.

    The predictions of a density estimator contain ``draws`` for the first test simulations. The estimates of
    the first ``n_refined`` test simulations are also refined, with progress on ``stream``. The same is done
    for the control, which starts from the nearest simulations instead (see
    :func:`jrflow.inference.scoring.refinement.refine`). Reference posteriors are used only if they have the
    model's seed, because another seed means other noise.

    Raises
    ------
    ValueError
        If the model was trained on another campaign, or responses are not observed as in its training.
    """
    given, expected = comparison.parts.train.config_hash, model.description.config_hash
    if given != expected:
        raise ValueError(
            f"campaign {comparison.parts.train.specification.campaign!r} is not the one that the model was "
            f"trained on (config hash {given[:12]}, expected {expected[:12]}), so training and validation "
            "parts would differ: give the archive of the training, or train again"
        )
    test = comparison.parts.test
    for one in comparison.noise.distinct:
        start = float(test.epoch.observed_times[0])
        model.description.check_input(one.direction, test.source.shape[1], start)
    estimator = model.description.estimator
    same = reference is not None and int(reference.attrs["seed"]) == comparison.seed
    table, predictions = evaluate(model.network, estimator, comparison, reference if same else None)
    for starts in REFINED_FROM if n_refined else ():
        scored, refined = refine(model.network, estimator, comparison, n_refined, stream, starts=starts)
        table, predictions = pd.concat([table, scored]), xr.merge([predictions, refined], join="outer")
    if isinstance(model.network, PosteriorNetwork):
        predictions = predictions.assign(draws=example_draws(model.network, comparison))
    return table, predictions


def example_draws(network: PosteriorNetwork, comparison: Comparison) -> xr.DataArray:
    """Draws from the posteriors of the first test simulations, over (noise, example, draw, parameter)."""
    prior, drawn = comparison.parts.train.prior, []
    for level in range(len(comparison.noise.names)):
        observed, sd = (array[:_N_EXAMPLES] for array in comparison.test(level))
        drawn.append(answered(network.draw(observed, sd), prior, comparison.seed))
    coords = {"noise": list(comparison.noise.names), "parameter": list(comparison.parts.test.names)}
    return xr.DataArray(np.stack(drawn), coords, ("noise", "example", "draw", "parameter"))


def answered(draws: np.ndarray, prior: Prior, seed: int) -> np.ndarray:
    """Draws (n, n_draws, n_targets); a response without possible draws (NaN) gets draws from the prior."""
    unanswered = np.isnan(draws).any(axis=(1, 2))
    prior_draws = prior.targets(prior.sample(draws.shape[1], entropy(seed, Stream.POSTERIOR)))
    return np.where(unanswered[:, None, None], prior_draws, draws)


def calibrated_estimates(network: Network, comparison: Comparison, level: int) -> Estimates:
    """Estimates of a network at a noise level, with intervals calibrated on the validation part."""
    errors = network.predict(*comparison.validation(level)) - comparison.parts.validation.targets
    return Estimates.calibrated(network.predict(*comparison.test(level)), errors)


def diagnosis(comparison: Comparison, draws: np.ndarray, level: int) -> xr.Dataset:
    """Diagnose draws (n, n_draws, n_targets) for the first simulations of the test campaign."""
    test, n = comparison.parts.test, min(len(draws), _N_DIAGNOSED)
    seed = entropy(comparison.seed, Stream.POSTERIOR, level)
    found = diagnose(test.targets[:n], draws[:n], *comparison.parts.train.prior.target_bounds, seed)
    return found.rename(sim="diagnosed").assign_coords(parameter=list(test.names))


def _misfit(
    comparison: Comparison, draws: np.ndarray, level: int, observed: torch.Tensor, sd: torch.Tensor
) -> xr.Dataset:
    """Misfit of draws for the first test simulations, over (checked, simulated)."""
    first, prior = comparison.first(_N_CHECKED), comparison.parts.test.prior
    n = len(first.parts.test.sim)
    likelihood = likelihood_of(first.parts.test, comparison.noise, level, observed[:n], sd[:n])
    parameters = draws[:n, :, : len(prior.names)].clip(prior.low, prior.high)
    return xr.Dataset({"misfit": (("checked", "simulated"), misfit(likelihood, parameters))})


def _check_same_observations(reference: xr.Dataset, comparison: Comparison) -> None:
    test = comparison.parts.test
    n = reference.sizes["case"]
    given = reference.attrs["campaign"], int(reference.attrs["seed"]), reference["case"].values.tolist()
    expected = test.specification.campaign, comparison.seed, test.sim[:n].tolist()
    if given != expected or not np.allclose(reference["true"].values, test.targets[:n]):
        raise ValueError(
            f"expected exact posteriors of the first simulations of {expected[0]!r} in noise of seed "
            f"{expected[1]}, received those of {given[0]!r}, seed {given[1]}: recreate limits/*-reference.nc"
        )


def network_r2(
    network: Network, test: EvokedSet, noise: NoiseLevels, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each noise level and the R2 of a network there, shape (n_targets,)."""
    for level, name in enumerate(noise.names):
        error = network.predict(*observed_at(test, noise, level, Stream.TEST, seed)) - test.targets
        yield name, 1 - (error**2).mean(axis=0) / test.targets.var(axis=0)


def predictions(comparison: Comparison, estimator: str, estimates: Sequence[Estimates]) -> xr.Dataset:
    """Estimates at every level as a labelled dataset; see :func:`evaluate`."""
    test = comparison.parts.test
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
            "noise": list(comparison.noise.names),
            "parameter": list(test.names),
            "unit": ("parameter", units),
        },
        attrs={
            "preset": test.prior.preset,
            "campaign": test.specification.campaign,
            "estimator": estimator,
        },
    )
