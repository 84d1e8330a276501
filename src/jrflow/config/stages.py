"""What the stages after simulating take, computed from the configuration: seconds and bytes.

Constants were measured on one core of the machine of :mod:`jrflow.config.cost`, with one thread, by
``/usr/bin/time -v`` around each of ``scripts/*.py``: on the archives of ``config.yaml``, and on campaigns
four to twenty times as large. Every stage starts with some seconds and some 0.3 GB of packages; what it reads
then decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jrflow.config.cost import simulation_seconds
from jrflow.config.shards import shard_sizes, simulation_bytes
from jrflow.model.protocol import EvokedProtocol

if TYPE_CHECKING:
    from jrflow.config.config import Config

Rule = Literal[
    "lead_field",
    "noise_levels",
    "limits",
    "evaluate",
    "learning_curve",
    "sobol",
    "one_at_a_time",
    "report",
    "apply",
]

#: Python and its packages: s and bytes, without and with PyTorch.
_START_S, _START_BYTES = 6.0, 300e6
_TORCH_S, _TORCH_BYTES = 8.0, 450e6
_LEAD_FIELD_BYTES = 400e6
#: Reading an archive and averaging it shard by shard: s a byte of float32, and copies of a shard.
_READING_S, _SHARD_COPIES = 8e-9, 4.0
#: Stages that hold the whole campaign in memory, and how many times.
_COPIES = {"noise_levels": 4.0, "sobol": 10.0, "one_at_a_time": 16.0}
#: Noise levels: s a byte.
_LEVELS_S = 15e-9
#: Sensitivity: s a simulation (of Sobol campaigns half of it for 200 resamples: a guess).
_SOBOL_S, _RESAMPLE_S = 0.2e-3, 1e-6
_OAT_S = 0.6e-3
#: Limits: s a draw besides its simulations, and copies of their sources in float64.
_DRAW_S, _LIMITS_COPIES = 1e-3, 3.0
#: Training on one core: operations/s, s a number of input, s a batch.
_FLOPS, _INPUT_S, _BATCH_S = 20e9, 30e-9, 3e-3
#: With more threads or devices each but the first adds so much of its own speed. A guess: one was measured.
_SHARE = 0.6
#: What a GPU does of the operations in the time of one core. A guess on the safe side: none was measured.
_GPU_CORES = 8.0
#: Numbers kept for one validated simulation, step and hidden unit; copies of the input.
_KEPT, _INPUT_COPIES = 8, 5.0
#: Extra-trees: s and bytes a training simulation, the time for each noise level.
_TREES_S, _TREES_BYTES = 0.27e-3, 2500.0
#: The report: s besides its start, for each preset; copies of the campaigns that it shows.
_PRESET_S, _SHOWN_COPIES = 15.0, 4.0
#: Channels where the montage's name does not end in their number.
_CHANNELS = 128
#: Simulations around the estimate of each recorded response, and responses of a recording.
_NEARBY, _RESPONSES = 2000, 10


def training_seconds(
    config: Config, model: str, n_devices: int = 1, device: Literal["cpu", "gpu"] = "cpu", n_threads: int = 1
) -> float:
    """Expected time in which a model is trained, reading its campaign included, s.

    Parameters
    ----------
    config
        The run's configuration.
    model
        Name of the model.
    n_devices, device
        How many devices share the work, and of which kind. On a GPU it is a guess: none was measured.
    n_threads
        Threads of each CPU.
    """
    return (
        _TORCH_S + _reading_s(config, model) + _showing_s(config, model, None, n_devices, device, n_threads)
    )


def training_bytes(config: Config, model: str) -> float:
    """Expected memory in which a model is trained, bytes: only averages of its campaign, not all sources."""
    training = config.inference.training
    n_validation = training.validation_fraction * _n_training(config, model)
    n_numbers = 2 * max(n_validation, training.batch_size) * _network_steps(config) * training.hidden * _KEPT
    shard = shard_sizes(config, config.inference.models[model].train, 1)[0]
    shard = min(shard, _n_training(config, model))
    sources = _SHARD_COPIES * shard * simulation_bytes(config, 1)
    inputs = 4 * _INPUT_COPIES * _n_training(config, model) * _n_samples(config)
    observed = 4 * _INPUT_COPIES * n_validation * _n_samples(config) * _n_inputs(config)
    return _TORCH_BYTES + sources + inputs + observed + 2 * n_numbers


def analysis_seconds(config: Config, rule: Rule, name: str = "", n_threads: int = 1) -> float:
    """Expected time of a stage after simulating, s.

    Parameters
    ----------
    config
        The run's configuration.
    rule
        Name of the workflow's rule.
    name
        Of the campaign (sobol, one_at_a_time) or of the model (noise_levels, limits, evaluate); others: none.
    n_threads
        Threads that evaluate, learning_curve and apply use; the others use one.
    """
    if rule == "noise_levels":
        return _START_S + _LEVELS_S * _campaign_bytes(config, config.inference.models[name].train)
    if rule == "sobol":
        each = _SOBOL_S + _RESAMPLE_S * config.sensitivity.n_bootstrap
        return _START_S + each * config.n_simulations(name)
    if rule == "one_at_a_time":
        return _START_S + _OAT_S * config.n_simulations(name)
    if rule == "limits":
        return _START_S + config.limits.n_draws * (_DRAW_S + _differences_s(config, name))
    if rule == "evaluate":
        trees = _TREES_S * _n_training(config, name) * len(config.eeg.noise) / _faster(n_threads)
        return _TORCH_S + _reading_s(config, name) + trees
    if rule == "learning_curve":
        return _curve_s(config, n_threads)
    if rule == "report":
        return _START_S + _PRESET_S * len({campaign.preset for campaign in config.campaigns.values()})
    return _TORCH_S + (_applying_s(config) if rule == "apply" else 0.0)


def analysis_bytes(config: Config, rule: Rule, name: str = "") -> float:
    """Expected memory of a stage after simulating, bytes; parameters as for ``analysis_seconds``."""
    models, curve = config.inference.models, config.inference.learning_curve
    if rule in _COPIES:
        campaign = models[name].train if rule == "noise_levels" else name
        return _START_BYTES + _COPIES[rule] * _campaign_bytes(config, campaign)
    if rule == "limits":
        n = 2 * _n_varied(config, models[name].train) * config.limits.n_draws
        return _START_BYTES + _LIMITS_COPIES * 2 * n * simulation_bytes(config, 1)
    if rule == "evaluate":
        return training_bytes(config, name) + _TREES_BYTES * _n_training(config, name)
    if rule == "learning_curve" and curve is not None:
        return training_bytes(config, curve.model)
    if rule == "report":
        shown = sum(_campaign_bytes(config, campaign) for campaign in config.sensitivity.one_at_a_time)
        return _TORCH_BYTES + _SHOWN_COPIES * shown
    if rule == "lead_field":
        return _LEAD_FIELD_BYTES
    return _TORCH_BYTES + _RESPONSES * _SHARD_COPIES * _NEARBY * simulation_bytes(config, 1) / 2


def _showing_s(
    config: Config,
    model: str,
    presentations: int | None = None,
    n_devices: int = 1,
    device: Literal["cpu", "gpu"] = "cpu",
    n_threads: int = 1,
) -> float:
    """Showing simulations to the network, s; None shows the model's own number, at least one epoch."""
    training = config.inference.training
    if presentations is None:
        presentations = max(training.max_presentations, int(_n_training(config, model)))
    width = _n_inputs(config) * training.samples_per_step + 1 + training.hidden
    # Two directions, four gates, a multiplication and an addition, forward and twice as much backward.
    operations = _network_steps(config) * width * training.hidden * 2 * 4 * 2 * 3
    each = operations / _FLOPS + _INPUT_S * _n_inputs(config) * _n_samples(config)
    faster = (_GPU_CORES if device == "gpu" else _faster(n_threads)) * _faster(n_devices)
    return presentations * (each / faster + _BATCH_S / training.batch_size)


def _faster(n: int) -> float:
    """How many times quicker ``n`` together are than one."""
    return 1 + _SHARE * (n - 1)


def _curve_s(config: Config, n_threads: int) -> float:
    curve = config.inference.learning_curve
    if curve is None:
        return 0.0
    shown = curve.presentations * (len(curve.sizes) + curve.more_epochs)
    reading = _reading_s(config, curve.model)
    return _TORCH_S + reading + _showing_s(config, curve.model, shown, n_threads=n_threads)


def _differences_s(config: Config, model: str) -> float:
    """Simulations of one draw of the limits, in float64, s."""
    exact = config.simulation.model_copy(update={"precision": "float64", "backend": "cpu"})
    campaign = config.inference.models[model].train
    seconds = simulation_seconds(config.model_copy(update={"simulation": exact}), campaign, 1)
    return 2 * _n_varied(config, campaign) * seconds


def _applying_s(config: Config) -> float:
    apply = config.inference.apply
    if apply is None:
        return 0.0
    campaign = config.inference.models[apply.model].train
    return _RESPONSES * _NEARBY * simulation_seconds(config, campaign, 1)


def _reading_s(config: Config, model: str) -> float:
    return _READING_S * _campaign_bytes(config, config.inference.models[model].train)


def _campaign_bytes(config: Config, campaign: str) -> float:
    """All sources of a campaign of one region, float32."""
    return config.n_simulations(campaign) * simulation_bytes(config, 1)


def _n_training(config: Config, model: str) -> int:
    return config.n_simulations(config.inference.models[model].train)


def _n_varied(config: Config, campaign: str) -> int:
    return len(config.priors[config.campaigns[campaign].prior].parameters)


def _n_samples(config: Config) -> float:
    """Samples of one response that the network sees."""
    protocol, training = config.simulation.protocol, config.inference.training
    end = protocol.tmax if isinstance(protocol, EvokedProtocol) else protocol.duration
    return max(1.0, (end - training.tmin) * training.sfreq)


def _network_steps(config: Config) -> float:
    """Steps of the LSTM."""
    return max(1.0, _n_samples(config) / config.inference.training.samples_per_step)


def _n_inputs(config: Config) -> int:
    """Channels that the network sees: one where they are projected, or else those of the montage."""
    if config.inference.training.spatial == "projected":
        return 1
    name = getattr(config.eeg.head, "montage", "")
    digits = name[len(name.rstrip("0123456789")) :]
    return int(digits) if digits else _CHANNELS
