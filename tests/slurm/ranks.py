"""What the tests submit: ranks that fail, or that take their time."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from jrflow.inference.training.parallel import joined_ranks


def one_fails_while_others_wait(folder: Path) -> None:
    """The second rank fails; the others are in a collective that it never joins."""
    with joined_ranks(120) as ranks:
        (folder / f"started-{ranks.rank}").touch()
        if ranks.rank == 1:
            raise FileNotFoundError("no such file: the second rank's share")
        ranks.sum(torch.ones(1))


def one_hangs(folder: Path) -> None:
    """The second rank hangs; the others wait for it in a collective, within a bound."""
    with joined_ranks(5) as ranks:
        (folder / f"started-{ranks.rank}").touch()
        if ranks.rank == 1:
            time.sleep(600)
        ranks.sum(torch.ones(1))


def never_done(folder: Path) -> None:
    """A first part that takes longer than any start."""
    time.sleep(600)
