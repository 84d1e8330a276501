"""Results reported in the paper's public repository, for comparison with the scores of a run.

Correlations between estimated and true parameters, on the authors' own test parts. They are not R2, and noise
level and prior differ from the defaults of this package.

Source: Tilwani & O'Reilly, arXiv 2406.05002; repository
lina-usc/Jansen-Rit-Model-Benchmarking-Deep-Learning, at the commits named.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Columns of ``correlations``.
COLUMNS = ("A_e", "A_i", "b_e", "b_i", "C")


@dataclass(frozen=True)
class PublishedResult:
    """One result, with the published digits.

    Attributes
    ----------
    correlations
        Correlation for each of ``COLUMNS``.
    contacts
        Correlations for a_1 to a_4, which were published as single values or as a range.
    mse
        Mean squared error of the parameters scaled to 0..1.
    """

    estimator: str
    where: str
    noise: str
    correlations: tuple[str, ...]
    contacts: str
    mse: str


PUBLISHED = (
    PublishedResult(
        "EEGTransformer", "commit 26ba33f", "factor 1",
        (".12", ".99", ".54", ".93", ".17"), "−.05 .08 −.03 .04", ".0213"
    ),
    PublishedResult(
        "EEGTransformer", "commit 81f76c7", "factor 1",
        (".11", ".988", ".49", ".89", ".18"), "−.07 to .05", ".0224"
    ),
    PublishedResult(
        "LSTM", "commit 26ba33f", "factor 1",
        ("−.10", "−.06", ".28", ".02", "−.08"), "≤ .22", ".0316"
    ),
    PublishedResult(
        "Bi-LSTM", "50 fresh simulations", "factor .1",
        (".21", "−.01", ".01", "−.10", "−.02"), ".08 −.19 −.07 .29", ".035"
    ),
)  # fmt: skip
