"""Scores over the number of training simulations, and over epochs; here, or as a job of a cluster."""

from __future__ import annotations

from jrflow.config.config import Config
from jrflow.config.inference import LearningCurveConfig, TrainingConfig
from jrflow.config.networks import NetworkConfig
from jrflow.planning.learning_cost import TORCH_S, curve_seconds, training_bytes
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.stage import Files, Settings
from jrflow.stages.submitted import SubmittedStage


class LearningCurveSettings(Settings):
    """What the learning curve depends on besides noise levels and campaigns."""

    curve: LearningCurveConfig
    training: TrainingConfig
    network: NetworkConfig
    seed: int


class LearningCurve(SubmittedStage[LearningCurveSettings]):
    """The rule ``learning_curve``: one table for a run."""

    name = "learning_curve"
    inputs = ("noise", "train", "test")
    outputs = ("table",)
    settings_type = LearningCurveSettings

    def settings(self, config: Config, name: str = "") -> LearningCurveSettings:
        """See :class:`~jrflow.stages.stage.Stage`.

        Raises
        ------
        ValueError
            If the configuration asks for no learning curve.
        """
        curve, inference = _curve(config), config.inference
        return LearningCurveSettings(
            curve=curve, training=inference.training_of(curve.model),
            network=inference.network_of(curve.model), seed=config.run.seed,
        )  # fmt: skip

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return TORCH_S + curve_seconds(config, workers.threads)

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return training_bytes(config, _curve(config).model)

    def run(self, settings: LearningCurveSettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`."""
        import torch

        from jrflow.inference.from_archives import trace_learning_curve
        from jrflow.observe.levels import read_levels

        torch.set_num_threads(threads)
        lead_field, levels, _ = read_levels(inputs["noise"])
        train, test = inputs["train"].with_suffix(".zarr"), inputs["test"].with_suffix(".zarr")
        table = trace_learning_curve(
            train, test, lead_field, levels, settings.training, settings.network, settings.curve,
            settings.seed,
        )  # fmt: skip
        unfinished = outputs["table"].with_suffix(".partial")
        table.to_csv(unfinished, index=False)
        unfinished.replace(outputs["table"])


def _curve(config: Config) -> LearningCurveConfig:
    curve = config.inference.learning_curve
    if curve is None:
        raise ValueError("the configuration asks for no learning curve (inference.learning_curve)")
    return curve
