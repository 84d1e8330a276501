"""The verdict on a measured response, its tests, and its wording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: Significance level (false-alarm rate) of the verdict's test: largest share of responses of a correct model
#: that the test rejects.
LEVEL = 0.01
#: Smallest ratio between the powers of assumed and measured noise that is reported.
_NOTABLE = 1.5

Verdict = Literal[
    "explained", "partly explained", "not explained", "no response above noise", "cannot be judged"
]
#: All verdicts: the model's success first, then those that say nothing about the model.
VERDICTS: tuple[Verdict, ...] = (
    "explained", "partly explained", "not explained", "no response above noise", "cannot be judged"
)  # fmt: skip


@dataclass(frozen=True)
class Goodness:
    """Share of a measured response that a simulated response explains, and the verdict.

    Shares refer to the power over channels and times after the onset.

    Attributes
    ----------
    explained
        1 minus the share of the residual: 1 is perfect; below 0 is worse than a flat line.
    topography_ceiling
        Largest share that any time course of this source could explain.
    noise_share
        Expected share of the noise that was measured in this recording; it may exceed 1.
    source_explained
        The same as ``explained``, for the time course of the source estimate.
    source_chi2
        Residual of the source estimate per degree of freedom, relative to the noise measured in this
        recording.
    source_noise
        Power of the noise measured in this recording relative to the noise on which the network is
        conditioned; at least 1.
    reduced_chi2
        Residual over all directions in space and time per degree of freedom, relative to the assumed noise.
    degrees_of_freedom
        Degrees of freedom of ``reduced_chi2``: product of the ranks of the data over channels and over time,
        minus the number of fitted parameters.
    baseline_chi2
        Power of the baseline across the source, relative to the assumed noise.
    noise_ratio
        Power of the noise measured in this recording, relative to the assumed noise.
    rank
        Rank of the data over channels; projections and removed components reduce it.
    p_flat
        Probability that noise alone deviates from a flat line as much as the response does.
    p_place, p_course
        Probability that the residual of noise alone is as large: across the source, and in the source's time
        course.
    p_value
        The smaller of ``p_place`` and ``p_course``, corrected for two tests.
    level
        Significance level of the test.
    detectable_place_uv, detectable_course_mv
        Smallest deviations that the test detects with a probability of 80 %: a second source (root mean
        square over channels and time, uV), and an error of the source's time course (root mean square, mV).
    detectable_place_share, detectable_course_share
        The same deviations as shares of the power of the source's response, in units of the noise.
    verdict
        'explained': ``p_value`` is at least ``level``. 'partly explained': it is smaller, and the simulated
        response explains more than half of the power that is not noise. 'not explained': less than half. 'no
        response above noise': ``p_flat`` is at least ``level``. 'cannot be judged': see ``reasons``.
    reasons
        Reasons why the response cannot be judged.
    channels
        Channels that dominate the noise or the residual.

    Numbers are None if they cannot be computed: there is no response, or the response cannot be judged.
    """

    explained: float | None
    topography_ceiling: float | None
    noise_share: float | None
    source_explained: float | None
    source_chi2: float | None = None
    source_noise: float = 1.0
    reduced_chi2: float | None = None
    degrees_of_freedom: int = 0
    baseline_chi2: float | None = None
    noise_ratio: float | None = None
    rank: int = 0
    p_flat: float | None = None
    p_place: float | None = None
    p_course: float | None = None
    p_value: float | None = None
    level: float = LEVEL
    detectable_place_uv: float | None = None
    detectable_course_mv: float | None = None
    detectable_place_share: float | None = None
    detectable_course_share: float | None = None
    verdict: Verdict = "cannot be judged"
    reasons: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


def headline(verdict: str) -> str:
    """The verdict as the end of a sentence about a response."""
    return f"{verdict} by the model" if verdict.endswith("explained") else verdict


def sentences(fit: Mapping[str, Any]) -> list[str]:
    """Sentences that explain the verdict.

    Parameters
    ----------
    fit
        :class:`Goodness` as a mapping, as in ``estimates.json``.
    """
    said = [f"The response cannot be judged: {reason}." for reason in fit["reasons"]]
    if fit["p_value"] is not None and fit["verdict"] != "cannot be judged":
        said += _tested(fit)
    ratio = fit["noise_ratio"]
    if ratio is not None and not 1 / _NOTABLE < ratio < _NOTABLE:
        larger, factor = ("larger", 1 / ratio) if ratio < 1 else ("smaller", ratio)
        said.append(
            f"The assumed noise is {larger} than the noise measured in this recording, by a factor of "
            f"{factor:.3g} in power: check the covariance and the number of averages. The test uses the "
            "measured noise."
        )
    return said


def _tested(fit: Mapping[str, Any]) -> list[str]:
    level = fit["level"]
    if fit["verdict"] == "no response above noise":
        return [
            f"The response does not differ significantly from zero (p = {_p(fit['p_flat'])}, level "
            f"{level:g}), so it cannot be used to judge the model."
        ]
    said = [
        f"Probability that noise alone has a residual as large as that of the best fit: "
        f"p = {_p(fit['p_value'])} (level {level:g}; across the source p = {_p(fit['p_place'])}, in its time "
        f"course p = {_p(fit['p_course'])})."
    ]
    if fit["verdict"] == "explained":
        place, course = fit["detectable_place_uv"], fit["detectable_course_mv"]
        said.append(
            f"With a probability of 80 %, this test would have detected a second source of {place:.2g} uV"
            f"{_share(fit['detectable_place_share'])} (root mean square over channels and time), or an error "
            f"of the source's time course of {course:.2g} mV{_share(fit['detectable_course_share'])}. "
            "Smaller deviations may exist."
        )
    if fit["channels"]:
        said.append(f"Most of the residual is in {', '.join(fit['channels'])}.")
    return said


def _share(share: float | None) -> str:
    return "" if share is None else f", {share:.2g} of the response's power"


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"
