"""Whether posteriors can be trusted: one answer for each noise level, from all checks that were made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.stats import binom

from jrflow.report.content import number, percent

#: Probability of calling right posteriors wrong, of each check at each noise level (all targets together).
_FALSE_ALARM = 0.01
#: Chi-square per degree of freedom that draws may leave in the median; right posteriors leave little over 1.
_MOST_MISFIT = 1.2
#: The same in 95 % of the responses.
_MOST_MISFIT_TAIL = 2.0

#: Share of reference posteriors whose chains may be unresolved.
_MOST_UNRESOLVED = 0.05
#: Scale reduction factor above which chains disagree, where a file holds nothing better (version 0.1).
_LARGEST_RHAT = 1.2


@dataclass(frozen=True)
class Answer:
    """Whether the posteriors at one noise level can be trusted.

    Attributes
    ----------
    level
        Name of the noise level.
    objections
        What speaks against them, in words; empty if nothing does.
    n
        Test simulations that were checked.
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
        """The answer as a sentence without its end."""
        if self.trusted:
            return f"yes: no check fails on {self.n:,} test simulations"
        return "no: " + "; ".join(self.objections)


def answers(found: xr.Dataset) -> list[Answer]:
    """Judge the posteriors of one density, or reference posteriors, at every noise level.

    Parameters
    ----------
    found
        Over noise, as far as it was computed: ``rank_p`` (parameter), ``expected_coverage_p``, ``coverage``
        (nominal, parameter), ``misfit`` (checked, simulated), ``rank`` (diagnosed, parameter).
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
    """Ranks of the true values that are not uniform; Bonferroni over the targets."""
    if "rank_p" in one:
        failed = int((one["rank_p"] < _FALSE_ALARM / one.sizes["parameter"]).sum())
        if failed:
            yield f"ranks are not uniform for {failed} of {one.sizes['parameter']} targets"


def _coverage(one: xr.Dataset, n: int) -> Iterator[str]:
    """Coverage of 90 % intervals that chance does not explain; Bonferroni over the targets."""
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
    """Draws that do not reproduce the responses."""
    if "misfit" not in one:
        return
    median, tail = np.nanquantile(one["misfit"], [0.5, 0.95])
    if median > _MOST_MISFIT:
        yield f"responses simulated from draws leave residuals of {_times(median)} times the power of noise"
    elif tail > _MOST_MISFIT_TAIL:
        yield (
            "for one response in twenty, responses simulated from draws leave residuals of at least "
            f"{_times(tail)} times the power of noise"
        )


def _times(ratio: float) -> str:
    """A ratio between 1 and millions, with the digits that count."""
    return f"{ratio:.2g}" if ratio < 100 else f"{ratio:,.0f}"


def in_short(found: list[Answer]) -> str:
    """All levels in one sentence without its end: those that can be trusted, and those that cannot."""
    good = [answer.level for answer in found if answer.trusted]
    bad = [answer.level for answer in found if not answer.trusted]
    if not bad:
        return f"yes, at all noise levels ({', '.join(good)})"
    if not good:
        return f"no, at no noise level ({', '.join(bad)})"
    return f"yes at {', '.join(good)}; no at {', '.join(bad)}"


def unresolved_share(reference: xr.Dataset) -> xr.DataArray | None:
    """Share of cases over noise whose reference posterior is not resolved; None if nothing tells."""
    if "resolved" in reference:
        return 1 - reference["resolved"].astype(float).mean("case")
    if "rhat" in reference:
        # Not a number where chains never moved.
        return (~(reference["rhat"] < _LARGEST_RHAT)).astype(float).mean("case")
    return None
