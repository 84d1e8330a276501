"""Random numbers of training and evaluation, each stream keyed by what it is for.

A stream depends on its key alone, never on what was drawn before: an epoch that is repeated after an
interruption draws what it would have drawn.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """What random numbers are for."""

    SPLIT = 0
    INITIAL_WEIGHTS = 1
    EPOCH = 2
    VALIDATION = 3
    CALIBRATION = 4
    TEST = 5
    TREES = 6
    POSTERIOR = 7
    PAPER = 8
    REFINEMENT = 9
    EXACT = 10


def entropy(seed: int, stream: Stream, *key: int) -> int:
    """A 63-bit seed that only this key has."""
    low, high = np.random.SeedSequence([seed, int(stream), *key]).generate_state(2, np.uint32)
    return (int(high) << 32 | int(low)) >> 1


def torch_generator(
    seed: int, stream: Stream, *key: int, device: str | torch.device = "cpu"
) -> torch.Generator:
    """Generator of a stream, for PyTorch; on each kind of device its numbers are others."""
    return torch.Generator(device).manual_seed(entropy(seed, stream, *key))


def numpy_generator(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Generator of a stream, for NumPy."""
    return np.random.default_rng(entropy(seed, stream, *key))
