"""Whether posteriors can be trusted: one answer for each noise level, from all available checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.stats import binom

from jrflow.report.content import number, percent

#: False-alarm rate of each check at each noise level (all targets together), for correct posteriors.
_FALSE_ALARM = 0.01
#: Largest accepted median of chi-square per degree of freedom; for correct posteriors it is slightly above 1.
_MOST_MISFIT = 1.2
#: Largest accepted 95 % quantile of chi-square per degree of freedom.
_MOST_MISFIT_TAIL = 2.0

#: Largest accepted share of unresolved reference posteriors.
_MOST_UNRESOLVED = 0.05
#: R-hat above which chains disagree, for files without a better criterion (version 0.1).
_LARGEST_RHAT = 1.2


@dataclass(frozen=True)
class Answer:
    """Whether the posteriors at one noise level can be trusted.

    Attributes
    ----------
    level
        Name of the noise level.
    objections
        Checks that fail, in words; empty if no check fails.
    n
        Number of test simulations that were checked.
    """

    level: str
    objections: tuple[str, ...]
    n: int

    @property
    def trusted(self) -> bool:
        """Whether no check failed."""
        return not self.objections

    @property
    def words(self) -> str:
        """The answer as a sentence without a full stop."""
        if self.trusted:
            return f"yes: no check fails on {self.n:,} test simulations"
        return "no: " + "; ".join(self.objections)


def answers(found: xr.Dataset) -> list[Answer]:
    """Judge the posteriors of one density estimator, or reference posteriors, at every noise level.

    Parameters
    ----------
    found
        Results over noise; each variable is optional: ``rank_p`` (parameter), ``expected_coverage_p``,
        ``coverage`` (nominal, parameter), ``misfit`` (checked, simulated), ``rank`` (diagnosed, parameter).
    """
    n = next((found.sizes[dim] for dim in ("diagnosed", "case") if dim in found.sizes), 0)
    levels = [str(level) for level in found["noise"].values]
    return [Answer(level, tuple(_objections(found.sel(noise=level), n)), n) for level in levels]


def _objections(one: xr.Dataset, n: int) -> Iterator[str]:
    yield from _ranks(one)
    yield from _coverage(one, n)
    if "expected_coverage_p" in one and float(one["expected_coverage_p"]) < _FALSE_ALARM:
        yield "regions of all targets together do not have the stated coverage (TARP)"
    yield from _misfit(one)
    unresolved = unresolved_share(one)
    if unresolved is not None and float(unresolved) > _MOST_UNRESOLVED:
        yield f"{percent(float(unresolved))} of the posteriors are not resolved"


def _ranks(one: xr.Dataset) -> Iterator[str]:
    """Objection if ranks of the true values are not uniform; Bonferroni correction over the targets."""
    if "rank_p" in one:
        failed = int((one["rank_p"] < _FALSE_ALARM / one.sizes["parameter"]).sum())
        if failed:
            yield f"ranks are not uniform for {failed} of {one.sizes['parameter']} targets"


def _coverage(one: xr.Dataset, n: int) -> Iterator[str]:
    """Objection if chance does not explain the coverage of 90 % intervals; Bonferroni correction."""
    if "coverage" not in one or not n:
        return
    covered = one["coverage"].sel(nominal=0.9).values
    low, high = binom.interval(1 - _FALSE_ALARM / len(covered), n, 0.9)
    outside = covered[(covered * n < low) | (covered * n > high)]
    if len(outside):
        worst = outside[np.argmax(abs(outside - 0.9))]
        yield (
            f"90 % intervals of {len(outside)} of {len(covered)} targets cover too "
            f"{'little' if worst < 0.9 else 'much'} (worst: {number(100 * worst, 0)} %)"
        )


def _misfit(one: xr.Dataset) -> Iterator[str]:
    """Objection if simulations from draws do not fit the responses."""
    if "misfit" not in one:
        return
    median, tail = np.nanquantile(one["misfit"], [0.5, 0.95])
    if median > _MOST_MISFIT:
        yield f"residuals of responses simulated from draws have {_times(median)} times the power of noise"
    elif tail > _MOST_MISFIT_TAIL:
        yield (
            "for 5 % of the responses, residuals of responses simulated from draws have at least "
            f"{_times(tail)} times the power of noise"
        )


def _times(ratio: float) -> str:
    """Format a ratio between 1 and millions with significant digits."""
    return f"{ratio:.2g}" if ratio < 100 else f"{ratio:,.0f}"


def in_short(found: list[Answer]) -> str:
    """One sentence without a full stop: noise levels that can be trusted, and levels that cannot."""
    good = [answer.level for answer in found if answer.trusted]
    bad = [answer.level for answer in found if not answer.trusted]
    if not bad:
        return f"yes, at all noise levels ({', '.join(good)})"
    if not good:
        return f"no, at no noise level ({', '.join(bad)})"
    return f"yes at {', '.join(good)}; no at {', '.join(bad)}"


def unresolved_share(reference: xr.Dataset) -> xr.DataArray | None:
    """Share of cases with an unresolved reference posterior, over noise; None if this is not known."""
    if "resolved" in reference:
        return 1 - reference["resolved"].astype(float).mean("case")
    if "rhat" in reference:
        # R-hat is NaN if chains never moved.
        return (~(reference["rhat"] < _LARGEST_RHAT)).astype(float).mean("case")
    return None
