"""From an archive to arrays: observations, targets, and simulations that are excluded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from jrflow.archive.paths import AnyPath
from jrflow.archive.store import Archive
from jrflow.archive.vocabulary import NON_FINITE, OK, STATUS_MEANINGS
from jrflow.config.contradictions import MIN_VALIDATION
from jrflow.design.priors import Prior
from jrflow.inference.data.randomness import Stream, numpy_generator
from jrflow.observe.epoch import Epoch
from jrflow.observe.processing import Processing
from jrflow.observe.window import Window
from jrflow.specification import Specification


@dataclass(frozen=True)
class EvokedSet:
    """Clean evoked responses of one campaign, and the parameters behind them.

    Attributes
    ----------
    sim
        Simulation ids, shape (n,).
    source
        Filtered, baseline-corrected, block-averaged source, mV, float32, shape (n, n_blocks).
    targets
        Parameters that vary, then products whose factors both vary, in their units, shape (n, n_targets).
    prior
        Prior distribution of the parameters.
    epoch
        Filters, baseline and blocks of ``source``.
    excluded
        Number of simulations left out, by the meaning of their status. Simulations with status ok whose
        responses or targets are not finite count as ``non_finite``.
    specification
        Specification of the campaign.
    config_hash
        Hash of the specification.
    """

    sim: np.ndarray
    source: np.ndarray
    targets: np.ndarray
    prior: Prior
    epoch: Epoch
    excluded: dict[str, int]
    specification: Specification
    config_hash: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the targets."""
        return self.prior.target_names

    def take(self, index: np.ndarray) -> EvokedSet:
        """Select simulations by position."""
        return replace(self, sim=self.sim[index], source=self.source[index], targets=self.targets[index])


def read_evoked_set(
    path: AnyPath, sfreq: float, tmin: float, processing: Processing | None = None
) -> EvokedSet:
    """Read a campaign's archive.

    Shards are read one by one and averaged immediately, so that only averages are in memory. Simulations
    that failed or are not finite are left out and counted before anything is fitted.

    Parameters
    ----------
    path
        Sealed archive (<campaign>.zarr) of evoked responses of one region.
    sfreq
        Sampling frequency of the observation, Hz.
    tmin
        Time after which responses are observed, s from the onset.
    processing
        Filters and baseline of the responses; None for no filter.

    Raises
    ------
    ArchiveError
        If ``path`` is not an archive.
    ValueError
        If the archive contains activity at rest or several regions, no simulation can be used, or a target
        does not vary.
    """
    archive = Archive.open(path)
    specification = archive.specification
    _check_evoked(archive)
    prior = specification.prior
    times = archive.read("time")
    done = Processing() if processing is None else processing
    period = specification.simulation.timing.period
    epoch = Epoch(times, period, done, window=Window.of(times, sfreq, tmin))
    status = archive.read("status")
    ok = status == OK
    source = _read_source(archive, ok, epoch)
    targets = prior.targets(np.column_stack([archive.read(name)[ok] for name in prior.names]))
    finite = np.isfinite(source).all(axis=1) & np.isfinite(targets).all(axis=1)
    excluded = _excluded(status, int((~finite).sum()))
    if not finite.any():
        raise ValueError(
            f"{archive.path}: expected simulations with status 0 (ok), found none: {excluded}; widen "
            "simulation.max_source or narrow the prior, and simulate the campaign again"
        )
    _check_vary(archive, prior, targets[finite])
    return EvokedSet(
        archive.read("sim")[ok][finite], source[finite], targets[finite], prior, epoch,
        excluded, specification, specification.identity,
    )  # fmt: skip


def check_same_experiment(train: EvokedSet, other: EvokedSet) -> None:
    """Make sure that two campaigns are of the same experiment.

    Raises
    ------
    ValueError
        If preset, targets, time axis or protocol differ.
    """
    ours, theirs = (asdict(data.specification.simulation.protocol) for data in (train, other))
    compared = {
        "preset": (train.prior.preset, other.prior.preset),
        "targets": (", ".join(train.names), ", ".join(other.names)),
        "times (first, last, number)": (_axis(train.epoch.times), _axis(other.epoch.times)),
    } | {f"protocol.{key}": (ours[key], theirs.get(key)) for key in ours}
    lines = [f"  {key}: {a} in training, {b} here" for key, (a, b) in compared.items() if a != b]
    if lines:
        campaign = other.specification.campaign
        first = f"campaign {campaign!r} does not fit the model's training campaign:"
        last = "Give a campaign of the same preset, prior, protocol and sampling, or train on one like it"
        raise ValueError("\n".join([first, *lines, last]))


def split(data: EvokedSet, validation_fraction: float, seed: int) -> tuple[EvokedSet, EvokedSet]:
    """Divide by simulation into a training and a validation part.

    Raises
    ------
    ValueError
        If there are too few simulations.
    """
    order = numpy_generator(seed, Stream.SPLIT).permutation(len(data.sim))
    n_validation = round(validation_fraction * len(order))
    needed = round(MIN_VALIDATION / validation_fraction)
    if n_validation < MIN_VALIDATION:
        raise ValueError(
            f"too few simulations: {len(order)} usable ones in campaign {data.specification.campaign!r} "
            f"({sum(data.excluded.values())} left out) leave {n_validation} for validation, at least "
            f"{MIN_VALIDATION} expected; enlarge the campaign to {needed}"
        )
    # Take the validation part from the end: it does not depend on how many of the others are trained on.
    return data.take(order[:-n_validation]), data.take(order[-n_validation:])


def _check_evoked(archive: Archive) -> None:
    kind, n_regions = archive.specification.simulation.protocol.kind, archive.layout.n_regions
    if kind != "evoked":
        raise ValueError(
            f"{archive.path}: expected evoked responses (simulation.protocol of kind evoked), found a "
            f"campaign of kind {kind}; give an archive of evoked responses"
        )
    if n_regions != 1:
        raise ValueError(
            f"{archive.path}: expected responses of one region, found {n_regions}: networks are trained on "
            "one column so far; simulate the campaign without simulation.connectome"
        )


def _excluded(status: np.ndarray, n_not_finite: int) -> dict[str, int]:
    """Count excluded simulations by the meaning of their status, including those ok but not finite."""
    counts = {
        meaning: int((status == value).sum()) for value, meaning in enumerate(STATUS_MEANINGS) if value != OK
    }
    counts[STATUS_MEANINGS[NON_FINITE]] += n_not_finite
    return {meaning: n for meaning, n in counts.items() if n}


def _read_source(archive: Archive, usable: np.ndarray, epoch: Epoch) -> np.ndarray:
    layout, array = archive.layout, archive.array("source")
    blocks = []
    for shard in range(layout.n_shards):
        ids = layout.simulations(shard)
        evoked = np.asarray(array[ids, 0])[usable[ids]]
        blocks.append(epoch.clean(evoked))
    return np.concatenate(blocks).astype(np.float32, copy=False)


def _check_vary(archive: Archive, prior: Prior, targets: np.ndarray) -> None:
    constant = [
        name for name, r in zip(prior.target_names, np.ptp(targets, axis=0), strict=True) if not r > 0
    ]
    if constant:
        raise ValueError(
            f"{archive.path}: {', '.join(constant)} should vary, but all {len(targets)} usable simulations "
            "have the same value, so nothing can be learnt about it: enlarge the campaign or remove it from "
            "the prior"
        )


def _axis(times: np.ndarray) -> tuple[float, float, int]:
    return round(float(times[0]), 9), round(float(times[-1]), 9), len(times)
