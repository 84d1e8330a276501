"""Random numbers of training and evaluation, in one stream per purpose.

A stream depends only on its key, never on earlier draws. An epoch that is repeated after an interruption
therefore uses the same random numbers.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """Purpose of random numbers."""

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
    """A 63-bit seed that is specific to this key."""
    low, high = np.random.SeedSequence([seed, int(stream), *key]).generate_state(2, np.uint32)
    return (int(high) << 32 | int(low)) >> 1


def torch_generator(
    seed: int, stream: Stream, *key: int, device: str | torch.device = "cpu"
) -> torch.Generator:
    """Generator of a stream, for PyTorch; its numbers differ between kinds of devices."""
    return torch.Generator(device).manual_seed(entropy(seed, stream, *key))


def numpy_generator(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Generator of a stream, for NumPy."""
    return np.random.default_rng(entropy(seed, stream, *key))
