"""What training and applying networks takes, computed from the configuration: seconds and bytes.

Constants, those of the stages included, were measured on one core of the machine of
:mod:`jrflow.planning.cost`, with one thread, by ``/usr/bin/time -v`` around each of ``scripts/*.py``: on the
archives of ``config.yaml``, and on campaigns four to twenty times as large. Every stage needs some seconds
and some 0.3 GB for its packages; the size of what it reads decides the rest.
"""

from __future__ import annotations

from typing import Literal

from jrflow.config.config import Config
from jrflow.config.electrodes import channel_count
from jrflow.config.learning_faults import samples_observed
from jrflow.config.networks import NPEConfig
from jrflow.config.shards import shard_sizes, simulation_bytes
from jrflow.planning.operations import numbers_kept, operations, step_operations

#: Python and its packages without PyTorch: s and bytes.
START_S, START_BYTES = 6.0, 300e6
#: Python and its packages, PyTorch among them: s and bytes.
TORCH_S, TORCH_BYTES = 8.0, 450e6
#: Reading an archive and averaging it shard by shard: s a byte of float32, and copies of a shard.
_READING_S, SHARD_COPIES = 8e-9, 4.0
#: Training on one core: operations/s, s a number of input, s a batch.
_FLOPS, _INPUT_S, _BATCH_S = 20e9, 30e-9, 3e-3
#: With more threads or devices each but the first adds so much of its own speed. A guess: one was measured.
_SHARE = 0.6
#: What a GPU does of the operations in the time of one core. A guess on the safe side: none was measured.
_GPU_CORES = 8.0
#: Bytes of each number that a network keeps, and copies of the input; responses that are validated at once.
_KEPT, _INPUT_COPIES, _AT_ONCE = 32, 5.0, 512
#: One draw from a density, s; targets of a response at most, and copies of the draws.
_DRAWN_S, _TARGETS, _DRAW_COPIES = 50e-6, 13, 3
#: Refining one estimate, from the network and from the nearest simulations, s.
_REFINED_S = 8.0


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
        TORCH_S
        + reading_seconds(config, model)
        + showing_seconds(config, model, None, n_devices, device, n_threads)
    )


def training_bytes(config: Config, model: str) -> float:
    """Expected memory in which a model is trained, bytes: only averages of its campaign, not all sources."""
    training = config.inference.training_of(model)
    n_validation = training.validation_fraction * n_training(config, model)
    kept = numbers_kept(config.inference.network_of(model), n_samples(config))
    n_numbers = max(_AT_ONCE, training.batch_size) * kept * _KEPT
    shard = shard_sizes(config, train_of(config, model), 1)[0]
    shard = min(shard, n_training(config, model))
    sources = SHARD_COPIES * shard * simulation_bytes(config, 1)
    inputs = 4 * _INPUT_COPIES * n_training(config, model) * n_samples(config)
    observed = 4 * _INPUT_COPIES * n_validation * n_samples(config) * _n_inputs(config)
    return TORCH_BYTES + sources + inputs + observed + n_numbers


def showing_seconds(
    config: Config,
    model: str,
    presentations: int | None = None,
    n_devices: int = 1,
    device: Literal["cpu", "gpu"] = "cpu",
    n_threads: int = 1,
) -> float:
    """Showing simulations to the network, s; None shows the model's own number, at least one epoch."""
    training = config.inference.training_of(model)
    if presentations is None:
        presentations = max(training.max_presentations, int(n_training(config, model)))
    network = config.inference.network_of(model)
    size = n_samples(config), _n_inputs(config)
    each = operations(network, *size) / _FLOPS + _INPUT_S * size[0] * size[1]
    times = _GPU_CORES if device == "gpu" else faster(n_threads)
    # Every device takes every step.
    step = _BATCH_S + step_operations(network, *size) / _FLOPS / times
    return presentations * (each / (times * faster(n_devices)) + step / training.batch_size)


def curve_seconds(config: Config, n_threads: int) -> float:
    """Expected time of a learning curve besides PyTorch's start, s."""
    curve = config.inference.learning_curve
    if curve is None:
        return 0.0
    shown = curve.presentations * (len(curve.sizes) + curve.more_epochs)
    reading = reading_seconds(config, curve.model)
    return reading + showing_seconds(config, curve.model, shown, n_threads=n_threads)


def applying_seconds(config: Config, model: str) -> float:
    """Applying a network to validation part and test campaign at every level, s."""
    training, network = config.inference.trainings[model], config.inference.network_of(model)
    shown = config.inference.training.validation_fraction * n_training(config, model)
    shown += config.n_simulations(training.test)
    draws = network.draws if isinstance(network, NPEConfig) else 1
    passed = operations(network, n_samples(config), _n_inputs(config)) / 3 / _FLOPS
    refined = min(training.refine, config.n_simulations(training.test)) * _REFINED_S
    return len(config.eeg.noise) * (shown * (passed + _DRAWN_S * (draws - 1)) + refined)


def drawn_bytes(config: Config, model: str) -> float:
    """Draws of a density for the whole test campaign, bytes."""
    training, network = config.inference.trainings[model], config.inference.network_of(model)
    draws = network.draws if isinstance(network, NPEConfig) else 0
    return 8.0 * _DRAW_COPIES * _TARGETS * draws * config.n_simulations(training.test)


def reading_seconds(config: Config, model: str) -> float:
    """Expected time in which a model's training campaign is read, s."""
    return _READING_S * campaign_bytes(config, train_of(config, model))


def campaign_bytes(config: Config, campaign: str) -> float:
    """All sources of a campaign of one region, float32."""
    return config.n_simulations(campaign) * simulation_bytes(config, 1)


def train_of(config: Config, model: str) -> str:
    """Training campaign of a training."""
    return config.inference.trainings[model].train


def n_training(config: Config, model: str) -> int:
    """Simulations of a model's training campaign."""
    return config.n_simulations(train_of(config, model))


def n_samples(config: Config) -> int:
    """Samples of one response that the network observes."""
    return max(1, samples_observed(config))


def _n_inputs(config: Config) -> int:
    """Channels that the network observes: one if they are projected, otherwise those of the head."""
    return 1 if config.inference.training.spatial == "projected" else channel_count(config.eeg.head)


def faster(n: int) -> float:
    """How many times quicker ``n`` together are than one."""
    return 1 + _SHARE * (n - 1)
