"""Units and meanings of an archive's variables, and the status of a simulation, by the CF conventions."""

from __future__ import annotations

from typing import Any

import numpy as np

from jrflow.model import MODEL

#: Marks a store as one of ours; the number changes with the layout.
FORMAT = "jrflow-archive-2"
#: The same while it is being created.
CREATING = f"{FORMAT}-creating"

# Status of a simulation: no value is ever silently dropped or replaced.
OK = 0
NOT_SIMULATED = 1
NON_FINITE = 2
OUT_OF_RANGE = 3

#: Meaning of each status, in the order of the values.
STATUS_MEANINGS = ("ok", "not_yet_simulated", "non_finite", "out_of_declared_range")

STATUS_ATTRS: dict[str, Any] = {
    "long_name": "status of the simulation",
    "flag_values": [OK, NOT_SIMULATED, NON_FINITE, OUT_OF_RANGE],
    "flag_meanings": " ".join(STATUS_MEANINGS),
}

SIM_ATTRS = {"long_name": "simulation id", "cf_role": "timeseries_id"}
SOURCE_ATTRS = {
    "units": MODEL.source.unit,
    "long_name": MODEL.source.long_name,
    "ancillary_variables": "status failed_step n_trials",
    "coverage_content_type": "modelResult",
}
TIME_ATTRS = {"units": "s", "long_name": "time from stimulus onset", "axis": "T"}
FAILED_STEP_ATTRS = {
    "units": "1",
    "long_name": "first integration step at which a source was not finite or out of range; -1 if none",
}
N_TRIALS_ATTRS = {"units": "1", "long_name": "trials simulated; the others repeat the last one"}
REGION_ATTRS = {"long_name": "cortical region"}
CAMPAIGN_KEY = "campaign_key"
CAMPAIGN_KEY_ATTRS = {"units": "1", "long_name": "key of the campaign that the simulation belongs to"}


def count_statuses(status: np.ndarray) -> dict[str, int]:
    """Number of simulations by the meaning of their status, those that none has included."""
    counts = np.bincount(status, minlength=len(STATUS_MEANINGS)).tolist()
    return dict(zip(STATUS_MEANINGS, counts, strict=True))
