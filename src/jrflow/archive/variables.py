"""Units and meanings of an archive's variables, by the CF conventions."""

from jrflow.model import MODEL

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
