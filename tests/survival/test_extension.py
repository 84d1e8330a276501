"""A campaign that grows, interrupted at every step of it: it can go on, or back to what it was."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from evidence import NAME, assert_nothing_twice, assert_same, written
from processes import killed_at_step
from steps import is_stopped

from jrflow.archive.store import Archive
from jrflow.campaign import run_campaign
from jrflow.campaign.run import design_campaign
from jrflow.config import Config

MakeConfig = Callable[..., Config]
Undisturbed = Callable[..., Path]

#: Neither fills its last shard of 32.
BEFORE, AFTER = 100, 170


def _extend_until(step: int, config: Config, folder: Path) -> bool:
    """Whether the extension was interrupted; from some step on it has no more."""
    return is_stopped(step, lambda: design_campaign(config, NAME, folder))


def _is_extended(folder: Path) -> bool:
    """Whether only the lock was still to be removed."""
    return Archive.open(folder / f"{NAME}.zarr").specification.settings.n == AFTER


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [AFTER, BEFORE])
def test_it_goes_on_or_back_from_any_step(
    tiny_config: MakeConfig, tmp_path: Path, undisturbed_tiny: Undisturbed, wanted: int
) -> None:
    # Each variable takes three steps; from two sides every kind of step is met.
    for step in itertools.count(1 if wanted == AFTER else 2, 3):
        folder = tmp_path / str(step)
        shutil.copytree(undisturbed_tiny(BEFORE), folder)
        before = written(folder)
        if not _extend_until(step, tiny_config({"n": AFTER}), folder) or _is_extended(folder):
            break
        run_campaign(tiny_config({"n": wanted}), NAME, folder, progress=None)
        # The last shard was not full: it is completed, which writes it anew.
        assert_nothing_twice(before, folder, apart_from={3} if wanted == AFTER else set())
        assert_same(folder, undisturbed_tiny(wanted))
        shutil.rmtree(folder)
    assert step > 30


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [AFTER, BEFORE])
def test_going_back_can_be_interrupted_too(
    tiny_config: MakeConfig, tmp_path: Path, undisturbed_tiny: Undisturbed, wanted: int
) -> None:
    rng = random.Random(wanted)
    for first in range(2, 40, 6):
        folder = tmp_path / str(first)
        shutil.copytree(undisturbed_tiny(BEFORE), folder)
        assert _extend_until(first, tiny_config({"n": AFTER}), folder)
        second = rng.randint(1, first)
        _extend_until(second, tiny_config({"n": BEFORE}), folder)
        run_campaign(tiny_config({"n": wanted}), NAME, folder, progress=None)
        assert_same(folder, undisturbed_tiny(wanted))


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [AFTER, BEFORE])
def test_killed_in_the_midst_of_it(
    tiny_config: MakeConfig, tmp_path: Path, undisturbed_tiny: Undisturbed, wanted: int
) -> None:
    for step in random.Random(wanted).sample(range(2, 40), 5):
        folder = tmp_path / str(step)
        shutil.copytree(undisturbed_tiny(BEFORE), folder)
        assert killed_at_step(step, tiny_config({"n": AFTER}).model_dump_json(), folder), step
        run_campaign(tiny_config({"n": wanted}), NAME, folder, progress=None)
        assert_same(folder, undisturbed_tiny(wanted))


def test_a_finished_extension_cannot_go_back(
    tiny_config: MakeConfig, tmp_path: Path, undisturbed_tiny: Undisturbed
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(undisturbed_tiny(BEFORE), folder)
    run_campaign(tiny_config({"n": AFTER}), NAME, folder, progress=None)
    assert_same(folder, undisturbed_tiny(AFTER))
    before = written(folder)
    with pytest.raises(OSError, match=f"n: in the store {AFTER}, expected {BEFORE}"):
        run_campaign(tiny_config({"n": BEFORE}), NAME, folder, progress=None)
    assert written(folder) == before
