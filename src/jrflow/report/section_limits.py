"""The limits of R2, the method that computed them, and their errors."""

from __future__ import annotations

from collections.abc import Iterator

import xarray as xr
from markupsafe import Markup

from jrflow.report.content import Block, number, percent, text
from jrflow.report.inputs import RunResults
from jrflow.report.trust import unresolved_share


def limit_blocks(run: RunResults) -> Iterator[Block]:
    """Describe the limits of each experiment, if they were computed."""
    for name in run.experiments:
        limits = run.limits(name)
        if limits is not None:
            yield _describe(limits, run.reference(name), limits.attrs.get("preset", name))


def _describe(limits: xr.Dataset, reference: xr.Dataset | None, preset: str) -> Block:
    n_exact = int(limits.attrs.get("n_exact", 0))
    sampled = (
        "the posterior variance, averaged over {n} test simulations whose posteriors were sampled at every "
        "noise level (sampled on the likelihood; Laplace's approximation, over {draws} more draws from "
        "the prior, reduces the sampling error)"
    )
    laplace = (
        "a Gaussian approximation of the posterior (Laplace: Fisher information and prior), averaged over "
        "{draws} draws from the prior"
    )
    if "integrated" in limits.attrs.get("method", ""):
        laplace += "; C and the contact probabilities are integrated over the prior"
    how = (sampled if n_exact else laplace).format(n=n_exact, draws=limits.attrs.get("n_draws", "–"))
    return text(
        "<b>Limit, preset {preset}</b>: the largest R² that any method can reach on this prior and this "
        "noise, from {how}.{error}{unresolved}{approximate}",
        preset=preset, how=how, error=_error(limits), unresolved=_unresolved(reference) if n_exact else "",
        approximate="" if n_exact else " If posteriors are not Gaussian, a score can exceed this limit.",
    )  # fmt: skip


def _error(limits: xr.Dataset) -> str:
    """Standard errors of the limits in words."""
    if "r2_limit_se" not in limits:
        return " Its standard error was not computed."
    errors = limits["r2_limit_se"]
    typical, largest = float(errors.median()), float(errors.max())
    return (
        f" Its standard error is {number(typical, 3)} in the median and {number(largest, 3)} at most: a "
        "score can exceed the limit by a few standard errors."
    )


def _unresolved(reference: xr.Dataset | None) -> Markup:
    """Share of unresolved cases at each noise level, in words."""
    share = None if reference is None else unresolved_share(reference)
    if share is None:
        return Markup("")
    each = ", ".join(
        f"{percent(float(v))} at {level}"
        for level, v in zip(share["noise"].values, share.values, strict=True)
    )
    sentence = " Cases that are not resolved (too few effective draws): {}."
    if float(share.max()) > 0:
        sentence += " <b>At these levels the limit is more uncertain than its standard error.</b>"
    return Markup(sentence).format(each)
