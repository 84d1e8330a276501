"""Estimates refined by the exact likelihood: posteriors sampled from the modes found from given starts.

Starts are a network's estimates, or, as a control that needs no network, the nearest simulations. Networks
fall behind where noise is low: there the posterior is narrower than what they resolve. The observations are
the network's own: the projected response, averaged over blocks of samples.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TextIO

import numpy as np
import pandas as pd
import xarray as xr

from jrflow.inference.data.randomness import Stream, entropy, numpy_generator
from jrflow.inference.networks.network import Network
from jrflow.inference.scoring.agreement import misfit
from jrflow.inference.scoring.comparison import Comparison, Estimates
from jrflow.inference.scoring.reference import likelihood_of
from jrflow.inference.scoring.targets import TargetPosteriors
from jrflow.limits.evoked import EvokedLikelihood
from jrflow.limits.exact import Effort, exact_posteriors
from jrflow.limits.starts import nearest_simulations

#: Suffix of the names of refined estimators.
SUFFIX = "+exact"
#: Where a refinement starts: from a network's estimates; or, as a control, from the nearest simulations.
Starts = Literal["network", "nearest"]
REFINED_FROM: tuple[Starts, ...] = ("network", "nearest")
#: Name of the control.
CONTROL = f"nearest{SUFFIX}"
#: Starts of a case. A network's are its estimate and points around it, as far away as its errors on
#: _N_ERRORS validation simulations.
_N_STARTS, _N_ERRORS = 8, 1000
#: Simulations from the prior among which the nearest are sought.
_N_REFERENCE = 16384
#: The sampled posterior is rejected if it leaves more than noise by this many standard deviations of
#: chi-square.
_POOR = 5.0
#: Fewer ridges than for the reference posteriors, because the starts are near.
_EFFORT = Effort(n_along=2, n_ridges=2)


@dataclass(frozen=True)
class Refined:
    """Refined estimates at one noise level, and how well their chains converged.

    Attributes
    ----------
    estimates
        Posterior means and 90 % intervals; where no posterior that fits was found, those before refinement.
    mcse
        Monte Carlo standard errors of the means, (n_cases, n_targets); 0 for estimates that are not sampled.
    ess, rhat, resolved
        See :class:`jrflow.inference.scoring.targets.TargetPosteriors`, each (n_cases,).
    found
        Whether a posterior that fits was found, (n_cases,).
    """

    estimates: Estimates
    mcse: np.ndarray
    ess: np.ndarray
    rhat: np.ndarray
    resolved: np.ndarray
    found: np.ndarray


def refine(
    network: Network | None,
    estimator: str,
    comparison: Comparison,
    n_cases: int,
    stream: TextIO | None = None,
    *,
    starts: Starts = "network",
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Find and score the posteriors that some starts lead to.

    Parameters
    ----------
    network
        Its estimates are the starts; not used for ``starts="nearest"``.
    estimator
        Name of the network; the scored estimator is named ``<estimator>+exact``, the control
        ``nearest+exact``.
    comparison
        Observations and noise levels; the first ``n_cases`` simulations of its test campaign are taken.
    n_cases
        Simulations, at most those of the test campaign.
    stream
        Where progress is shown; None for silence.
    starts
        "network": search from the network's estimates. "nearest": from as many of the nearest of 16,384
        simulations, with the same effort; shows what the network contributes.

    Returns
    -------
    table
        Scores, one row for each noise level and target.
    refined
        Over (noise, first_sim, parameter): ``refined``, ``refined_low`` and ``refined_high``, posterior means
        and the ends of 90 % intervals, and ``refined_mcse``, Monte Carlo standard errors of the means. Over
        (noise, first_sim): ``refined_ess``, ``refined_rhat``, ``refined_resolved`` and ``refined_found``.
        The names of the control begin with ``nearest`` instead of ``refined``.
    """
    name = CONTROL if starts == "nearest" else estimator + SUFFIX
    first, rows, levels = comparison.first(n_cases), [], []
    for level, noise in enumerate(comparison.noise.names):
        if stream is not None:
            print(f"refining {name}, noise level {noise}:", file=stream)
        levels.append(refined_estimates(network, comparison, n_cases, level, stream, starts=starts))
        rows.append(first.score(name, level, levels[-1].estimates))
    return pd.concat(rows, ignore_index=True), _labelled(
        levels, "nearest" if starts == "nearest" else "refined", first.parts.test.sim
    )


def refined_estimates(
    network: Network | None,
    comparison: Comparison,
    n_cases: int,
    level: int,
    stream: TextIO | None = None,
    *,
    starts: Starts = "network",
) -> Refined:
    """Means and 90 % intervals of the posteriors to which starts lead at one level; see :func:`refine`.

    Modes are sought from the starts; ridges through them and Langevin steps explore the rest
    (:mod:`jrflow.limits.exact`). If the sampled posterior leaves more than noise, it is not the posterior:
    the network's own estimate and interval are returned, or those of the prior where there is no network.

    Raises
    ------
    ValueError
        If the starts are a network's and there is none.
    """
    if starts == "network" and network is None:
        raise ValueError(
            'expected a network for starts="network", received None; starts="nearest" needs none'
        )
    # Draw noise for the whole campaign, so that these cases have the same noise as in scoring.
    observed, sd = (array[:n_cases] for array in comparison.test(level))
    likelihood = likelihood_of(comparison.first(n_cases).parts.test, comparison.noise, level, observed, sd)
    rng = numpy_generator(comparison.seed, Stream.REFINEMENT, level)
    draw = entropy(comparison.seed, Stream.REFINEMENT, level)
    if starts == "nearest" or network is None:
        before = _of_prior(comparison, len(observed), draw)
        x = nearest_simulations(likelihood, _N_REFERENCE, draw)[:, :_N_STARTS]
    else:
        own = network.predict(observed, sd)
        shown = (part[:_N_ERRORS] for part in comparison.validation(level))
        errors = network.predict(*shown) - comparison.parts.validation.targets[:_N_ERRORS]
        before = Estimates.calibrated(own, errors)
        x = _around(likelihood, own, errors, rng)
    found = TargetPosteriors.of(
        likelihood.coordinates, exact_posteriors(likelihood, x, _EFFORT, draw, stream), rng
    )
    return _accepted(likelihood, found, before)


def _around(
    likelihood: EvokedLikelihood, own: np.ndarray, errors: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Starts (n_cases, _N_STARTS, d): estimates, (n_cases, n_targets), and estimates less drawn errors."""
    prior = likelihood.coordinates.prior
    centre, n = own[:, None, : len(prior.names)], len(own)
    drawn = errors[rng.integers(len(errors), size=(n, _N_STARTS - 1)), : len(prior.names)]
    starts = prior.within(np.concatenate([centre, centre - drawn], axis=1))
    return likelihood.coordinates.of_parameters(starts.reshape(-1, starts.shape[2])).reshape(n, _N_STARTS, -1)


def _of_prior(comparison: Comparison, n: int, seed: int) -> Estimates:
    """Prior means and 90 % intervals for n cases."""
    prior = comparison.parts.train.prior
    draws = prior.targets(prior.sample(_N_ERRORS, seed))
    return Estimates.of_draws(np.broadcast_to(draws, (n, *draws.shape)))


def _accepted(likelihood: EvokedLikelihood, found: TargetPosteriors, before: Estimates) -> Refined:
    """Sampled posteriors where they fit, the estimates before refinement elsewhere."""
    refined = replace(Estimates.of_draws(found.draws), value=found.mean)
    chi2 = np.median(misfit(likelihood, found.draws[..., : len(likelihood.coordinates.prior.names)]), axis=1)
    fits = chi2 < 1 + _POOR * np.sqrt(2 / likelihood.rank)
    parts = (
        np.where(fits[:, None], getattr(refined, f.name), getattr(before, f.name)) for f in fields(Estimates)
    )
    return Refined(
        Estimates(*parts), np.where(fits[:, None], found.mcse, 0), np.where(fits, found.ess, 0),
        found.rhat, found.resolved & fits, fits,
    )  # fmt: skip


def _labelled(levels: list[Refined], prefix: str, sim: np.ndarray) -> xr.Dataset:
    dims = ("noise", "first_sim", "parameter")
    columns: dict[str, Any] = {
        prefix: (dims, np.stack([r.estimates.value for r in levels])),
        f"{prefix}_low": (dims, np.stack([r.estimates.low for r in levels])),
        f"{prefix}_high": (dims, np.stack([r.estimates.high for r in levels])),
        f"{prefix}_mcse": (dims, np.stack([r.mcse for r in levels])),
    }
    for name in ("ess", "rhat", "resolved", "found"):
        columns[f"{prefix}_{name}"] = (dims[:2], np.stack([getattr(r, name) for r in levels]))
    return xr.Dataset(columns, coords={"first_sim": sim})
