"""Whether posteriors can be trusted: one failed check is a no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr

from jrflow.report.trust import answers, in_short


def density(**changed: Any) -> xr.Dataset:
    """Checks of a density that pass on 200 simulations, at one noise level, but for what is changed."""
    right: dict[str, Any] = {
        "rank": (("noise", "diagnosed", "parameter"), np.full((1, 200, 4), 0.5)),
        "rank_p": (("noise", "parameter"), np.full((1, 4), 0.2)),
        "expected_coverage_p": ("noise", [0.4]),
        "coverage": (("noise", "nominal", "parameter"), np.full((1, 1, 4), 0.9)),
        "misfit": (("noise", "checked", "simulated"), np.full((1, 50, 3), 1.03)),
    }
    return xr.Dataset(
        right | changed, coords={"noise": ["middle"], "nominal": [0.9], "parameter": list("abcd")}
    )


FULL = (1, 50, 3)
UNTRUSTED: Mapping[str, dict[str, Any]] = {
    "one target's ranks": {"rank_p": (("noise", "parameter"), [[0.2, 1e-4, 0.3, 0.9]])},
    "joint regions": {"expected_coverage_p": ("noise", [1e-5])},
    "intervals too narrow": {"coverage": (("noise", "nominal", "parameter"), [[[0.9, 0.9, 0.78, 0.9]]])},
    "intervals too wide": {"coverage": (("noise", "nominal", "parameter"), [[[0.9, 0.995, 0.9, 0.9]]])},
    "33,000": {"misfit": (("noise", "checked", "simulated"), np.full(FULL, 3.3e4))},
    "54": {"misfit": (("noise", "checked", "simulated"), np.full(FULL, 54.0))},
    "4.9": {"misfit": (("noise", "checked", "simulated"), np.full(FULL, 4.9))},
    "a tail": {
        "misfit": (
            ("noise", "checked", "simulated"),
            np.where(np.arange(50) < 5, 9.0, 1.0)[None, :, None] * np.ones(FULL),
        )
    },
    "unresolved": {"resolved": (("noise", "case"), [[True] * 9 + [False]])},
}


def test_right_posteriors_are_trusted() -> None:
    (answer,) = answers(density())
    assert answer.trusted
    assert answer.n == 200
    # The smallest of several p-values is small by chance.
    assert answers(density(rank_p=(("noise", "parameter"), [[0.2, 0.006, 0.3, 0.9]])))[0].trusted


@pytest.mark.parametrize("name", UNTRUSTED)
def test_one_failed_check_is_a_no(name: str) -> None:
    (answer,) = answers(density(**UNTRUSTED[name]))
    assert not answer.trusted
    assert len(answer.objections) == 1
    assert in_short([answer]).startswith("no")


def test_levels_are_answered_one_by_one() -> None:
    wrong = density(**UNTRUSTED["54"]).assign_coords(noise=["quiet"])
    both = xr.concat([density(), wrong], "noise")
    assert in_short(answers(both)) == "yes at middle; no at quiet"
