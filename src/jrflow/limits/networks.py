"""R2 limits of the parameters of a network, by Laplace's approximation.

As for a column (:mod:`jrflow.limits.fisher`), the posterior covariance at a draw from the prior is
(J' J + 1)^-1, where J is the derivative of the whitened data per prior standard deviation. The data are the
sources of all regions, or EEG channels. The derivative needs two simulations for each variable: a network of
68 regions with five parameters each needs 680. A brain whose response does not repeat from trial to trial (a
limit cycle) has no smooth average: such draws are counted, and left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from jrflow.archive.vocabulary import OK
from jrflow.config.connectome import regions_of
from jrflow.config.eeg import SnrNoise
from jrflow.config.priors import IndependentPrior
from jrflow.config.simulation import SimulationConfig
from jrflow.design.priors import Prior
from jrflow.limits.jacobian import STEP_TOLERANCE, precise_arguments, shifted
from jrflow.model import MODEL
from jrflow.model.arguments import whole
from jrflow.model.connectome import Connectome
from jrflow.model.plausible import unremarked
from jrflow.model.protocol import EvokedProtocol
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise, noise_level
from jrflow.observe.observation import Observation
from jrflow.observe.projection import baseline_correct, reference_rms
from jrflow.observe.window import Window
from jrflow.simulation import simulate

#: Simulated values (8 bytes each) of one batch: it fits into the memory of a laptop.
_VALUES_AT_ONCE = 2**26
#: Half the step of the central differences, as a fraction of the parameter's value.
_RELATIVE_STEP = 1e-5
#: Number of variables, spread over all, for which the derivative is repeated with half the step.
_N_CHECKED = 12
#: Fraction of the largest derivative below which a derivative is not checked.
_NEGLIGIBLE = 1e-4


def network_limits(
    parameters: Mapping[str, Mapping[str, Any]],
    connectome: Connectome,
    *,
    snr_db: Sequence[float] = (0.0, 20.0, 40.0),
    lead_field: xr.DataArray | None = None,
    preset: str = MODEL.default_preset,
    protocol: EvokedProtocol | None = None,
    coupling: Mapping[str, float] | None = None,
    n_draws: int = 4,
    sfreq: float = 100.0,
    seed: int = 0,
) -> xr.Dataset:
    """R2 limit of every parameter of every region, and of the network.

    Parameters
    ----------
    parameters
        Distribution of each parameter that varies, as in a prior of ``kind: independent``, such as
        ``{"A_e": {"kind": "relative-uniform", "half_width": 0.5, "regions": "independent"}}``.
    connectome
        The network.
    snr_db
        Signal-to-noise ratios of the averaged response, dB: 20 log10(signal / noise). Signal: root mean
        square over inputs and time of the response without noise, median over draws. Noise: standard
        deviation of one sample of one input.
    lead_field
        Dims (channel, region), uV/mV, for the regions of the connectome; None if the sources themselves are
        observed.
    preset
        Defaults of the parameters that do not vary.
    protocol
        Stimulus and recording; by default the paper's.
    coupling
        ``G`` and ``speed`` where they do not vary.
    n_draws
        Number of draws from the prior.
    sfreq
        Rate at which responses are observed, Hz, by averages over blocks.
    seed
        Seed of the draws.

    Returns
    -------
    xr.Dataset
        Over (snr_db, variable): ``r2_limit`` and its standard error ``r2_limit_se``. Over (snr_db,
        direction): ``information``, the eigenvalues of J' J (mean over draws of their logarithm); data
        determine a direction better than the prior if its eigenvalue is above 1. Coordinates ``parameter``
        and ``region`` of each variable; the region of a parameter of the whole network is ``""``.
        Attributes: ``n_draws``, ``n_failed``, ``n_unsettled`` and the settings.

    Raises
    ------
    ValueError
        If a distribution is impossible, the lead field has other regions, no draw settles, or derivatives
        depend on the step.
    """
    n_draws = whole("n_draws", n_draws, 1)
    simulation = SimulationConfig(protocol=protocol or EvokedProtocol())
    if lead_field is not None and sorted(lead_field["region"].values) != sorted(connectome.names):
        raise ValueError(
            f"lead_field: expected the {connectome.n_regions} regions of the connectome, received "
            f"{lead_field.sizes['region']} regions, such as {lead_field['region'].values[0]!r}"
        )
    environment = {"G": 1.0, "speed": np.inf} | dict(coupling or {})
    prior = Prior.of(
        IndependentPrior.model_validate({"kind": "independent", "parameters": dict(parameters)}),
        preset, environment | simulation.protocol.input_parameters, regions_of(connectome),
    )  # fmt: skip
    network = _Network(prior, connectome, simulation, environment)
    draws = prior.sample(n_draws, seed)
    sources, failed, unsettled = network.responses(draws)
    usable = ~failed & ~unsettled
    if not usable.any():
        raise ValueError(
            f"none of {n_draws} draws has a response that repeats: {failed.sum()} failed, {unsettled.sum()} "
            "did not settle (they oscillate by themselves); lower G, narrow the prior, or draw more"
        )
    observation, signal = _observation(simulation, connectome, lead_field, sfreq, sources[usable])
    variances, spectra = [], []
    snr = 10 ** (np.asarray(snr_db, float) / 10)[:, None]
    for draw in draws[usable]:
        jacobian = network.jacobian(draw, observation)
        information = jacobian @ jacobian.T / signal**2
        values, vectors = np.linalg.eigh(information)
        variances.append(np.einsum("vk,sk->sv", vectors**2, 1 / (1 + snr * values.clip(min=0))))
        spectra.append(snr * values[::-1].clip(min=np.finfo(float).tiny))
    return _labelled(prior, np.array(variances), np.array(spectra), snr_db).assign_attrs(
        n_draws=int(usable.sum()), n_failed=int(failed.sum()), n_unsettled=int(unsettled.sum()),
        preset=preset, seed=seed, n_regions=connectome.n_regions,
        observation="sources" if lead_field is None else f"{lead_field.sizes['channel']} channels",
    )  # fmt: skip


@dataclass(frozen=True)
class _Network:
    """Simulations of one network whose parameters have a prior."""

    prior: Prior
    connectome: Connectome
    simulation: SimulationConfig
    environment: Mapping[str, float]

    def responses(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sources (n, n_regions, n_times), and whether a simulation failed or did not settle, each (n,)."""
        protocol = self.simulation.protocol
        assert isinstance(protocol, EvokedProtocol)
        values = self.prior.values(points)
        network = {name: value for name, value in self.environment.items() if name not in values}
        settings = precise_arguments(self.simulation, self.prior.preset) | {"connectome": self.connectome}
        with unremarked():
            ds = simulate(values | network, **settings)
        unsettled = (ds["n_trials"].values >= protocol.n_trials) & (ds["status"].values == OK)
        return ds["source"].values, ds["status"].values != OK, unsettled

    def jacobian(self, point: np.ndarray, observation: Observation) -> np.ndarray:
        """Derivative of the whitened data per prior standard deviation of each variable, (n_variables, rank).

        Raises
        ------
        ValueError
            If a simulation fails, or halving the step changes a derivative by more than 5 %.
        """
        found = np.concatenate(list(self._slopes(point, np.arange(len(point)), _RELATIVE_STEP, observation)))
        some = np.unique(np.linspace(0, len(point) - 1, _N_CHECKED).astype(int))
        halved = np.concatenate(list(self._slopes(point, some, _RELATIVE_STEP / 2, observation)))
        size = np.linalg.norm(found, axis=1)
        checked = size[some] > _NEGLIGIBLE * size.max()
        change = np.linalg.norm(found[some] - halved, axis=1)[checked] / size[some][checked]
        if change.size and not change.max() <= STEP_TOLERANCE:
            name = np.array(self.prior.names)[some][checked][change.argmax()]
            raise ValueError(
                f"the derivative with respect to {name} changes by {change.max():.0%} if its step is halved "
                f"(at most {STEP_TOLERANCE:.0%} expected): the response is not smooth"
            )
        return found

    def _slopes(
        self, point: np.ndarray, variables: np.ndarray, relative_step: float, observation: Observation
    ) -> Iterator[np.ndarray]:
        """Parts of the Jacobian, for some variables at a time."""
        size = self.connectome.n_regions * len(self.simulation.timing.times)
        at_once = int(np.clip(_VALUES_AT_ONCE // (2 * size), 1, len(variables)))
        for part in np.array_split(variables, -(-len(variables) // at_once)):
            points, width = shifted(point[None], relative_step, self.prior)
            points, width = points[0, part].reshape(-1, len(point)), width[0, part]
            sources, failed, _ = self.responses(points)
            if failed.any():
                raise ValueError("a simulation failed next to a draw that did not: narrow the prior")
            pairs = sources.reshape(len(part), 2, *sources.shape[1:])
            slopes = (pairs[:, 0] - pairs[:, 1]) * (self.prior.sd[part] / width)[:, None, None]
            yield observation.whiten(observation.clean(slopes))


def _observation(
    simulation: SimulationConfig, connectome: Connectome, lead_field: xr.DataArray | None, sfreq: float,
    sources: np.ndarray,
) -> tuple[Observation, float]:  # fmt: skip
    """Observation whose noise has unit size, and size of the signal in its inputs' unit."""
    timing = simulation.timing
    epoch = Epoch(timing.times, timing.period, window=Window.of(timing.times, sfreq, 0.0))
    if lead_field is None:
        noise = EvokedNoise(np.eye(1), timing.n_epochs, timing.times, min(timing.period, len(timing.times)))
        observation = Observation.of_sources(epoch, noise, 1.0, connectome.n_regions)
        corrected = baseline_correct(sources, timing.times)
        return observation, float(np.median(np.sqrt((corrected**2).mean(axis=(1, 2)))))
    ordered = lead_field.sel(region=list(connectome.names)).transpose("channel", "region")
    noise = noise_level(SnrNoise(kind="snr", snr_db=0.0), ordered, timing, reference_rms=1.0)
    observation = Observation.of_electrodes("channels", ordered, noise, epoch)
    coords = {"region": list(connectome.names), "time": timing.times}
    labelled = xr.DataArray(sources, dims=("sim", "region", "time"), coords=coords)
    # Inputs are channels in units of the noise of one channel, times the observation's own sd.
    return observation, reference_rms(labelled, ordered) * observation.sd


def _labelled(
    prior: Prior, variances: np.ndarray, spectra: np.ndarray, snr_db: Sequence[float]
) -> xr.Dataset:
    """Dataset of the limits, from posterior variances and spectra (n_draws, n_snr, n_variables)."""
    n = len(variances)
    error = variances.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(variances.shape[1:], np.nan)
    names = [name.partition("[") for name in prior.names]
    return xr.Dataset(
        {
            "r2_limit": (("snr_db", "variable"), 1 - variances.mean(axis=0), {"units": "1"}),
            "r2_limit_se": (("snr_db", "variable"), error, {"units": "1"}),
            "information": (("snr_db", "direction"), np.exp(np.log(spectra).mean(axis=0)), {"units": "1"}),
        },
        coords={
            "snr_db": ("snr_db", np.asarray(snr_db, float), {"units": "dB"}),
            "variable": list(prior.names),
            "parameter": ("variable", [name for name, _, _ in names]),
            "region": ("variable", [region.rstrip("]") for _, _, region in names]),
        },
    )
