"""Units and meanings of an archive's variables."""

SOURCE_ATTRS = {"units": "mV", "long_name": "source activity y1 - y2"}
TIME_ATTRS = {"units": "s", "long_name": "time from stimulus onset"}
FAILED_STEP_ATTRS = {
    "units": "1",
    "long_name": "first integration step at which a source was not finite or out of range; -1 if none",
}
N_TRIALS_ATTRS = {"units": "1", "long_name": "trials simulated; the others repeat the last one"}
REGION_ATTRS = {"long_name": "cortical region"}
