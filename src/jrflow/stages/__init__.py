"""The stages of the workflow after simulating, one file a rule."""

from jrflow.stages.apply import Apply
from jrflow.stages.baselines import Baselines
from jrflow.stages.evaluate import Evaluate
from jrflow.stages.lead_field import LeadField
from jrflow.stages.learning_curve import LearningCurve
from jrflow.stages.limits import Limits
from jrflow.stages.noise_levels import NoiseLevels
from jrflow.stages.one_at_a_time import OneAtATime
from jrflow.stages.reference import Reference
from jrflow.stages.report import Report
from jrflow.stages.sobol import Sobol
from jrflow.stages.stage import AnyStage
from jrflow.stages.train import Train

_ALL: tuple[AnyStage, ...] = (
    LeadField(), NoiseLevels(), Reference(), Limits(), Train(), Evaluate(), Baselines(), LearningCurve(),
    Apply(), Sobol(), OneAtATime(), Report(),
)  # fmt: skip

#: Every stage by the name of its rule.
STAGES: dict[str, AnyStage] = {stage.name: stage for stage in _ALL}
