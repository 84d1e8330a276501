"""One trained estimator under one condition: its scores, and what would warn its user.

Columns besides the scores of the nine parameters:

bias               mean of the absolute mean error, in standard deviations of the prior
misfit             median chi-square per degree of freedom of what the re-simulated estimate leaves of the
                   projected response (of a density: of its draws)
best_fit           the same of the best fit of all parameters that a search from the estimate finds
flagged            share of recordings whose best fit leaves more than noise does, by three standard
                   deviations of chi-square: nothing within the prior explains them
no_answer          share of which a density draws nothing that is possible; the scores are of the others
explained          share of some recordings that the re-simulated estimate explains, as jrflow infer says
by_model           share that it calls explained by the model: by the best fit
unjudged           share of which it says that they show no response, or cannot be judged
in_range           whether it calls the noise one of those met in training
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from conditions import Bench, Recordings

from jrflow.inference.networks.posterior import PosteriorNetwork
from jrflow.inference.recordings.baseline import baseline_noise
from jrflow.inference.recordings.predict import estimate, interval_estimates
from jrflow.inference.scoring.agreement import misfit
from jrflow.inference.scoring.comparison import Estimates
from jrflow.inference.scoring.metrics import coverage, scores
from jrflow.inference.scoring.reference import likelihood_of
from jrflow.inference.training.model import TrainedModel
from jrflow.limits.gauss_newton import find_modes
from jrflow.observe.observation import NoiseLevels, Observation

#: Recordings whose misfit is computed, and draws of a density for each.
N_CHECKED, N_DRAWN = 60, 10
#: Excess of a best fit's chi-square, in its standard deviations, that passes for chance.
CHANCE = 3.0


@dataclass(frozen=True)
class Estimator:
    name: str
    model: TrainedModel
    bench: Bench

    def observed(self, given: Recordings) -> tuple[torch.Tensor, np.ndarray]:
        """What it sees, (n, 1, n_blocks), and the noise it is told, (n,), mV."""
        spatial, epoch = self.model.description.training.spatial, self.bench.simulations.part.epoch
        observation = Observation.of_electrodes(spatial, given.lead_field, given.noise, epoch)
        data = torch.from_numpy(observation.of_channels(given.eeg)).float()
        return data, np.full(len(data), observation.sd)

    def misfits(
        self, observed: torch.Tensor, sd: np.ndarray, found: Estimates, given: Recordings
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Chi-square per degree of freedom that the first few leave, (n_checked,).

        By the estimate (of a density: the median over its draws), and by the best fit that it leads to; and
        their degrees of freedom.
        """
        part, n = self.bench.simulations.part, min(N_CHECKED, len(sd))
        prior, told = part.prior, torch.from_numpy(sd[:n]).float()
        noise = NoiseLevels.of("projected", given.lead_field, {"assumed": given.noise}, part.epoch)
        likelihood = likelihood_of(part, noise, 0, observed[:n], told)
        parameters = prior.within(found.value[:n, None, : len(prior.names)])
        modes = find_modes(likelihood, likelihood.coordinates.of_parameters(parameters[:, 0])[:, None])
        rank = likelihood.rank
        best = -2 * likelihood.log_likelihood(modes.x[:, 0], np.arange(n)) / rank
        if isinstance(self.model.network, PosteriorNetwork):
            drawn = self.model.network.draw(observed[:n], told)[:, :N_DRAWN, : len(prior.names)]
            parameters = drawn.clip(prior.low, prior.high)
        return np.median(misfit(likelihood, parameters), axis=1), best, rank


def row(estimator: Estimator, given: Recordings, by_baseline: bool, n_recordings: int) -> dict[str, Any]:
    """All that is said of one estimator under one condition."""
    observed, sd = estimator.observed(given)
    d, part = estimator.model.description, estimator.bench.simulations.part
    if by_baseline:
        gain = given.lead_field.values[:, 0]
        found_noise = (baseline_noise(eeg, gain, given.noise, part.epoch.blocks) for eeg in given.eeg)
        sd = sd * np.sqrt([one.inflation for one in found_noise])
    found, n = interval_estimates(estimator.model, observed, sd), len(part.prior.names)
    answered = np.isfinite(found.value).all(axis=1)
    given, observed, sd = given.take(answered), observed[answered], sd[answered]
    found = Estimates(*(x[answered] for x in (found.value, found.low, found.high)))
    true, value = given.targets[:, :n], found.value[:, :n]
    width = part.prior.high - part.prior.low
    r2 = dict(zip(part.prior.names, scores(true, value, width)["r2"], strict=True))
    misfits, best, rank = estimator.misfits(observed, sd, found, given)
    middle = float(np.median(sd))
    return {
        "estimator": estimator.name,
        "n": len(true),
        "no_answer": 1 - answered.mean(),
        "sd_told": middle,
        "in_range": d.sd_range[0] * (1 - 1e-6) <= middle <= d.sd_range[1] * (1 + 1e-6),
        **{f"r2_{name}": r2[name] for name in ("A_e", "b_e")},
        "r2_mean": np.mean(list(r2.values())),
        "coverage_90": coverage(true, found.low[:, :n], found.high[:, :n]).mean(),
        "bias": np.abs((value - true).mean(axis=0) / part.prior.sd).mean(),
        "misfit": np.median(misfits),
        "best_fit": np.median(best),
        "flagged": (best > 1 + CHANCE * np.sqrt(2 / rank)).mean(),
        **verdicts(estimator.model, given, n_recordings),
    }


def verdicts(model: TrainedModel, given: Recordings, n: int) -> dict[str, float]:
    """Shares of the first ``n`` recordings that the estimate, and the best fit, explain."""
    found = [judged(model, given, k) for k in range(min(n, len(given.targets)))]
    return {
        name: float(np.mean([one[name] for one in found] or np.nan))
        for name in ("explained", "by_model", "unjudged")
    }


def judged(model: TrainedModel, given: Recordings, k: int) -> dict[str, bool]:
    """What jrflow infer says of one recording; no answer is no explanation."""
    try:
        found = estimate(model, response(given, k), given.lead_field, given.noise)[0]
    except ValueError:
        return {"explained": False, "by_model": False, "unjudged": False}
    best = found.best_fit.verdict
    return {
        "explained": found.goodness.verdict == "explained",
        "by_model": best == "explained",
        "unjudged": best in ("no response above noise", "cannot be judged"),
    }


def response(given: Recordings, k: int) -> xr.DataArray:
    """One recording as jrflow infer has it."""
    coords = {"channel": given.lead_field["channel"].values, "time": given.noise.times}
    return xr.DataArray(given.eeg[k].astype(float), coords, ("channel", "time"))
