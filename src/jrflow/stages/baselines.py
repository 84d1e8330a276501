"""Scores of the baselines on a test campaign."""

from __future__ import annotations

from typing import Literal

from jrflow.config.config import Config
from jrflow.planning.learning_cost import TORCH_S, faster, n_training, reading_seconds, training_bytes
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.scoring import comparison_of
from jrflow.stages.stage import Files, Settings, Stage

#: Extra-trees: seconds and bytes a training simulation; the time is that of each noise level.
_TREES_S, _TREES_BYTES = 0.27e-3, 2500.0
#: The paper's network: seconds of each noise level, at 100 Hz.
_PAPER_S = 150.0


class BaselinesSettings(Settings):
    """What the baselines depend on besides noise levels, campaigns and limits."""

    sfreq: float
    tmin: float
    spatial: Literal["projected", "channels"]
    validation_fraction: float
    paper_baseline: bool
    seed: int


class Baselines(Stage[BaselinesSettings]):
    """The rule ``baselines``: one table for each pair of campaigns."""

    name = "baselines"
    inputs = ("noise", "train", "test", "limits")
    outputs = ("scores",)
    settings_type = BaselinesSettings

    def settings(self, config: Config, name: str = "") -> BaselinesSettings:
        """See :class:`~jrflow.stages.stage.Stage`."""
        training = config.inference.training
        return BaselinesSettings(
            sfreq=training.sfreq, tmin=training.tmin, spatial=training.spatial,
            validation_fraction=training.validation_fraction,
            paper_baseline=config.inference.paper_baseline, seed=config.run.seed,
        )  # fmt: skip

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        trees = _TREES_S * n_training(config, name) / faster(workers.threads)
        paper = _PAPER_S if config.inference.paper_baseline else 0.0
        return TORCH_S + reading_seconds(config, name) + len(config.eeg.noise) * (trees + paper)

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return training_bytes(config, name) + _TREES_BYTES * n_training(config, name)

    def run(self, settings: BaselinesSettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`."""
        from jrflow.inference.scoring.baselines import evaluate_baselines

        comparison = comparison_of(inputs, settings, settings.seed, threads)
        table = evaluate_baselines(comparison, paper=settings.paper_baseline, n_jobs=threads)
        table.to_csv(outputs["scores"], index=False)
