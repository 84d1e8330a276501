"""The report of a run."""

from __future__ import annotations

import json
import sys
from hashlib import sha256

from jrflow.config.config import Config
from jrflow.planning.learning_cost import START_S, TORCH_BYTES, campaign_bytes
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.stage import Files, Settings, Stage

#: What the report shows: everything but how the work was carried out.
_SHOWN = {"run", "simulation", "priors", "campaigns", "eeg", "inference", "sensitivity", "limits"}
#: Seconds of each preset; how many copies of the campaigns that it shows are in memory.
_PRESET_S, _COPIES = 15.0, 4.0


class ReportSettings(Settings):
    """The report shows the configuration that stands in the run's folder; here is what is in it."""

    shown: str
    """SHA-256 of the sections that the report shows."""


class Report(Stage[ReportSettings]):
    """The rule ``report``: one page for a run, made from the files in its folder."""

    name = "report"
    inputs = ()
    outputs = ("report",)
    settings_type = ReportSettings

    def settings(self, config: Config, name: str = "") -> ReportSettings:
        """See :class:`~jrflow.stages.stage.Stage`."""
        shown = json.dumps(config.model_dump(mode="json", include=_SHOWN), sort_keys=True)
        return ReportSettings(shown=sha256(shown.encode()).hexdigest())

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return START_S + _PRESET_S * len({campaign.preset for campaign in config.campaigns.values()})

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        shown = sum(campaign_bytes(config, campaign) for campaign in config.sensitivity.one_at_a_time)
        return TORCH_BYTES + _COPIES * shown

    def run(self, settings: ReportSettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`."""
        from jrflow.report.report import build_report

        sys.stdout.write(f"{build_report(outputs['report'].parent)}\n")
