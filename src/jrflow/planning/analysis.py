"""What the stages after simulating take, computed from the configuration: seconds and bytes.

Constants were measured on one core of the machine of :mod:`jrflow.planning.cost`, with one thread, by
``/usr/bin/time -v`` around each of ``scripts/*.py``: on the archives of ``config.yaml``, and on campaigns
four to twenty times as large. Every stage starts with some seconds and some 0.3 GB of packages; what it reads
then decides.
"""

from __future__ import annotations

from typing import Literal

from jrflow.config.config import Config
from jrflow.config.shards import simulation_bytes
from jrflow.planning.cost import simulation_seconds
from jrflow.planning.learning_cost import (
    SHARD_COPIES,
    TORCH_BYTES,
    TORCH_S,
    applying_seconds,
    campaign_bytes,
    curve_seconds,
    drawn_bytes,
    faster,
    n_training,
    reading_seconds,
    train_of,
    training_bytes,
)

Rule = Literal[
    "lead_field",
    "noise_levels",
    "limits",
    "gold",
    "evaluate",
    "baselines",
    "learning_curve",
    "sobol",
    "one_at_a_time",
    "report",
    "apply",
]

#: Python and its packages without PyTorch: s and bytes.
_START_S, _START_BYTES = 6.0, 300e6
_LEAD_FIELD_BYTES = 400e6
#: Stages that hold the whole campaign in memory, and how many times.
_COPIES = {"noise_levels": 4.0, "one_at_a_time": 16.0}
#: Sobol analyses: simulations in memory at once, and copies of their responses.
_SOBOL_AT_ONCE, _SOBOL_COPIES = 4096, 16.0
#: Noise levels: s a byte.
_LEVELS_S = 15e-9
#: Sensitivity: s a simulation.
_SOBOL_S, _OAT_S = 0.14e-3, 0.6e-3
#: Limits: s a draw besides its simulations, and copies of their sources in float64.
_DRAW_S, _LIMITS_COPIES = 1e-3, 3.0
#: Exact posteriors: s of a level, whatever the number of cases; simulations of a case and level, in float64,
#: besides those that all cases share; bytes of what is simulated at a time.
_GOLD_LEVEL_S, _GOLD_SIMULATIONS, _GOLD_SHARED, _GOLD_BYTES = 25.0, 40_000, 16_384, 1e9
#: Extra-trees: s and bytes a training simulation, the time for each noise level.
_TREES_S, _TREES_BYTES = 0.27e-3, 2500.0
#: The paper's network: s for each noise level, at 100 Hz.
_PAPER_S = 150.0
#: The report: s besides its start, for each preset; copies of the campaigns that it shows.
_PRESET_S, _SHOWN_COPIES = 15.0, 4.0
#: Simulations around the estimate of each recorded response, and responses of a recording.
_NEARBY, _RESPONSES = 2000, 10
#: An exact posterior: simulations, and what its 1,200 small batches take beside them, s.
_EXACT, _EXACT_S = 30_000, 20.0


def analysis_seconds(config: Config, rule: Rule, name: str = "", n_threads: int = 1) -> float:
    """Expected time of a stage after simulating, s.

    Parameters
    ----------
    config
        The run's configuration.
    rule
        Name of the workflow's rule.
    name
        Of the campaign (sobol, one_at_a_time) or of the model (noise_levels, limits, evaluate, baselines);
        others: none.
    n_threads
        Threads that baselines and learning_curve use; the others use one.
    """
    if rule in ("sobol", "one_at_a_time"):
        return _START_S + config.n_simulations(name) * _analysed_s(rule)
    if rule == "noise_levels":
        return _START_S + _LEVELS_S * campaign_bytes(config, train_of(config, name))
    if rule == "limits":
        n_draws = config.limits.n_draws + config.limits.posterior_cases
        return _START_S + n_draws * (_DRAW_S + _differences_s(config, name))
    if rule == "gold":
        return TORCH_S + _gold_s(config, name)
    if rule == "report":
        return _START_S + _PRESET_S * len({campaign.preset for campaign in config.campaigns.values()})
    return TORCH_S + _learnt_s(config, rule, name, n_threads)


def analysis_bytes(config: Config, rule: Rule, name: str = "") -> float:
    """Expected memory of a stage after simulating, bytes; parameters as for ``analysis_seconds``."""
    curve = config.inference.learning_curve
    if rule in (*_COPIES, "sobol"):
        return _START_BYTES + _responses_bytes(config, rule, name)
    if rule in ("limits", "gold"):
        return _limits_bytes(config, rule, name)
    if rule == "evaluate":
        return training_bytes(config, name) + drawn_bytes(config, name)
    if rule == "baselines":
        return training_bytes(config, name) + _TREES_BYTES * n_training(config, name)
    if rule == "learning_curve" and curve is not None:
        return training_bytes(config, curve.model)
    if rule == "report":
        shown = sum(campaign_bytes(config, campaign) for campaign in config.sensitivity.one_at_a_time)
        return TORCH_BYTES + _SHOWN_COPIES * shown
    if rule == "lead_field":
        return _LEAD_FIELD_BYTES
    return TORCH_BYTES + _RESPONSES * SHARD_COPIES * _NEARBY * simulation_bytes(config, 1) / 2


def _responses_bytes(config: Config, rule: Rule, name: str) -> float:
    """Memory of the responses that a stage analyses, bytes."""
    if rule == "sobol":
        n = min(config.n_simulations(name), _SOBOL_AT_ONCE)
        return _SOBOL_COPIES * n * simulation_bytes(config, 1)
    return _COPIES[rule] * campaign_bytes(config, train_of(config, name) if rule == "noise_levels" else name)


def _analysed_s(rule: Rule) -> float:
    """Time of a simulation of which the sensitivity is analysed, s."""
    return _SOBOL_S if rule == "sobol" else _OAT_S


def _learnt_s(config: Config, rule: Rule, name: str, n_threads: int) -> float:
    """Time of what needs PyTorch, besides its start, s."""
    if rule == "baselines":
        trees = _TREES_S * n_training(config, name) * len(config.eeg.noise) / faster(n_threads)
        paper = _PAPER_S * len(config.eeg.noise) if config.inference.paper_baseline else 0.0
        return reading_seconds(config, name) + trees + paper
    if rule == "evaluate":
        return reading_seconds(config, name) + applying_seconds(config, name)
    if rule == "learning_curve":
        return curve_seconds(config, n_threads)
    return _recordings_s(config) if rule == "apply" else 0.0


def _limits_bytes(config: Config, rule: Rule, name: str) -> float:
    if rule == "gold":
        test = config.inference.trainings[name].test
        return TORCH_BYTES + _GOLD_BYTES + SHARD_COPIES * campaign_bytes(config, test)
    n_draws = config.limits.n_draws + config.limits.posterior_cases
    n = 2 * _n_varied(config, train_of(config, name)) * n_draws
    return _START_BYTES + _LIMITS_COPIES * 2 * n * simulation_bytes(config, 1)


def _differences_s(config: Config, model: str) -> float:
    """Simulations of one draw of the limits, in float64, s."""
    return 2 * _n_varied(config, train_of(config, model)) * _precise_s(config, model)


def _precise_s(config: Config, model: str) -> float:
    """One simulation in float64, s."""
    exact = config.simulation.model_copy(update={"precision": "float64", "backend": "cpu"})
    return simulation_seconds(config.model_copy(update={"simulation": exact}), train_of(config, model), 1)


def _gold_s(config: Config, model: str) -> float:
    """Simulations behind exact posteriors at all noise levels, s."""
    n = _GOLD_SIMULATIONS * config.limits.posterior_cases + _GOLD_SHARED
    return len(config.eeg.noise) * (_GOLD_LEVEL_S + n * _precise_s(config, model))


def _recordings_s(config: Config) -> float:
    apply = config.inference.apply
    if apply is None:
        return 0.0
    campaign = train_of(config, apply.model)
    n, beside = (_NEARBY + _EXACT, _EXACT_S) if apply.exact else (_NEARBY, 0.0)
    return _RESPONSES * (n * simulation_seconds(config, campaign, 1) + beside)


def _n_varied(config: Config, campaign: str) -> int:
    return len(config.priors[config.campaigns[campaign].prior].parameters)
