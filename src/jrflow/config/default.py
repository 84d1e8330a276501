"""The default run: the numbers of config.yaml, in one place.

Whatever is not said here takes the default of its section's model. After a change run
``python -m jrflow.config.schema --fix``.
"""

from __future__ import annotations

from jrflow.config.analysis import SensitivityConfig
from jrflow.config.campaigns import CampaignConfig
from jrflow.config.config import Config
from jrflow.config.eeg import AdHocNoise, EEGConfig, SnrNoise
from jrflow.config.inference import InferenceConfig, LearningCurveConfig, ModelConfig, TrainingConfig
from jrflow.config.networks import BiLSTMConfig, NPEConfig
from jrflow.config.priors import PublishedRangePrior, RelativeUniformPrior
from jrflow.model import MODEL

_N_TRAIN = 40_960
_N_TEST = 2_048
_N_SOBOL = 512  # times 11: nine parameters vary
_N_STEPS = 100  # times 9
_CURVE = (2_304, 9_216, 36_864)
_N_PRESENTATIONS, _N_CURVE_PRESENTATIONS = 800_000, 73_728
_N_NPE_PRESENTATIONS = 400_000  # each takes twice as long as the Bi-LSTM's


def default_config() -> Config:
    """Build the run that ``make demo`` carries out: two presets, small enough for two cores."""
    first, second = list(MODEL.presets)[:2]
    return Config(
        priors={
            "uniform-50": RelativeUniformPrior(kind="relative-uniform"),
            "paper": PublishedRangePrior(kind="published-range"),
        },
        campaigns=_campaigns(first) | _campaigns(second, f"-{second}"),
        eeg=EEGConfig(
            noise={
                "paper-1": AdHocNoise(kind="ad-hoc", factor=1.0),
                "snr-20": SnrNoise(kind="snr", snr_db=20.0),
                "snr-0": SnrNoise(kind="snr", snr_db=0.0),
            },
        ),
        inference=InferenceConfig(
            networks={"bilstm": BiLSTMConfig(), "npe": NPEConfig()},
            models={
                "bilstm": ModelConfig(train="train", test="test"),
                "npe": ModelConfig(
                    train="train", test="test", network="npe", max_presentations=_N_NPE_PRESENTATIONS
                ),
                f"bilstm-{second}": ModelConfig(train=f"train-{second}", test=f"test-{second}"),
            },
            training=TrainingConfig(max_presentations=_N_PRESENTATIONS),
            learning_curve=LearningCurveConfig(
                model="bilstm", sizes=_CURVE, presentations=_N_CURVE_PRESENTATIONS
            ),
        ),
        sensitivity=SensitivityConfig(
            sobol=("sobol", f"sobol-{second}"), one_at_a_time=("oat", f"oat-{second}")
        ),
    )


def _campaigns(preset: str, suffix: str = "") -> dict[str, CampaignConfig]:
    sizes = {
        "train": ("prior", _N_TRAIN),
        "test": ("prior", _N_TEST),
        "sobol": ("saltelli", _N_SOBOL),
        "oat": ("one-at-a-time", _N_STEPS),
    }
    return {
        name + suffix: CampaignConfig.model_validate(
            {"design": design, "n": n, "preset": preset, "prior": "uniform-50"}
        )
        for name, (design, n) in sizes.items()
    }
