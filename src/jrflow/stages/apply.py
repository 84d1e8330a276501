"""What a trained network says about measured evoked responses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jrflow.config.config import Config
from jrflow.config.inference import ApplyConfig
from jrflow.config.shards import simulation_bytes
from jrflow.planning.cost import simulation_seconds
from jrflow.planning.learning_cost import SHARD_COPIES, TORCH_BYTES, TORCH_S, train_of
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.stage import Files, Settings, Stage

#: Simulations around the estimate of each recorded response; responses of a recording.
_NEARBY, _RESPONSES = 2000, 10
#: An exact posterior: its simulations, and the seconds that its 1,200 small batches take besides.
_EXACT, _EXACT_S = 30_000, 20.0


class ApplySettings(Settings):
    """What the estimates depend on besides noise levels, network and recording."""

    apply: ApplyConfig
    seed: int


class Apply(Stage[ApplySettings]):
    """The rule ``apply``: estimates and responses of one recording."""

    name = "apply"
    inputs = ("noise", "model")
    outputs = ("estimates", "responses")
    settings_type = ApplySettings

    def settings(self, config: Config, name: str = "") -> ApplySettings:
        """See :class:`~jrflow.stages.stage.Stage`.

        Raises
        ------
        ValueError
            If the configuration names no recording.
        """
        if config.inference.apply is None:
            raise ValueError("the configuration names no recording (inference.apply)")
        return ApplySettings(apply=config.inference.apply, seed=config.run.seed)

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        apply = config.inference.apply
        if apply is None:
            return TORCH_S
        n, besides = (_NEARBY + _EXACT, _EXACT_S) if apply.exact else (_NEARBY, 0.0)
        simulation = simulation_seconds(config, train_of(config, apply.model), 1)
        return TORCH_S + _RESPONSES * (n * simulation + besides)

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return TORCH_BYTES + _RESPONSES * SHARD_COPIES * _NEARBY * simulation_bytes(config, 1) / 2

    def run(self, settings: ApplySettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`.

        Raises
        ------
        SystemExit
            If no response of the recording can be used: with the reason for each.
        """
        import torch

        from jrflow.inference.recordings.files import failures_as_text, infer_each
        from jrflow.inference.training.model import load_model
        from jrflow.observe.levels import read_levels

        torch.set_num_threads(threads)
        apply = settings.apply
        lead_field, levels, _ = read_levels(inputs["noise"])
        found = infer_each(
            load_model(inputs["model"].parent), Path(apply.evoked), lead_field, levels[apply.noise],
            settings.seed, exact=apply.exact,
        )  # fmt: skip
        if found.responses is None:
            raise SystemExit(failures_as_text(found.failures))
        if found.failures:
            sys.stderr.write(f"{failures_as_text(found.failures)}\n")
        content = {
            "model": apply.model, "evoked": apply.evoked, "noise": apply.noise,
            "responses": found.estimates, "failures": found.failures,
        }  # fmt: skip
        text = json.dumps(content, indent=1, allow_nan=False)
        outputs["estimates"].write_text(text, encoding="utf-8")
        found.responses.to_netcdf(outputs["responses"], engine="h5netcdf")
