"""Scores of a training on its test campaign."""

from __future__ import annotations

import sys

from jrflow.config.config import Config
from jrflow.planning.learning_cost import (
    TORCH_S,
    applying_seconds,
    drawn_bytes,
    reading_seconds,
    training_bytes,
)
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.scoring import comparison_of
from jrflow.stages.stage import Files, Settings, Stage


class EvaluateSettings(Settings):
    """What the scores depend on besides their files; how the network was trained stands with the network."""

    refine: int


class Evaluate(Stage[EvaluateSettings]):
    """The rule ``evaluate``: scores and predictions of a training."""

    name = "evaluate"
    inputs = ("noise", "model", "train", "test", "limits", "reference")
    outputs = ("scores", "predictions")
    settings_type = EvaluateSettings

    def settings(self, config: Config, name: str = "") -> EvaluateSettings:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return EvaluateSettings(refine=config.inference.trainings[name].refine)

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return TORCH_S + reading_seconds(config, name) + applying_seconds(config, name)

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return training_bytes(config, name) + drawn_bytes(config, name)

    def run(self, settings: EvaluateSettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`."""
        import xarray as xr

        from jrflow.inference.scoring.evaluate import evaluate_model
        from jrflow.inference.training.model import load_model

        model = load_model(inputs["model"].parent)
        comparison = comparison_of(inputs, model.description.training, model.description.seed, threads)
        reference = xr.load_dataset(inputs["reference"], engine="h5netcdf") if "reference" in inputs else None
        scores, predictions = evaluate_model(
            model, comparison, reference=reference, n_refined=settings.refine, stream=sys.stderr
        )
        scores.to_csv(outputs["scores"], index=False)
        predictions.to_netcdf(outputs["predictions"], engine="h5netcdf")
