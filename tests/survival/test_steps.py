"""A campaign that is interrupted before each of its steps, in turn: none of them needs the next one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from evidence import NAME, assert_nothing_twice, assert_same, written
from steps import is_stopped, number_of_steps

from jrflow.campaign import run_campaign
from jrflow.campaign.run import design_campaign
from jrflow.config import Config

MakeConfig = Callable[..., Config]
Undisturbed = Callable[..., Path]

BEFORE, AFTER = 100, 170


def _check_from(
    first: int, folder: Path, begin: Callable[[Path], object], config: Config, undisturbed: Path
) -> int:
    """Interrupt a campaign at each step from one on; return the number of steps."""

    def work() -> None:
        run_campaign(config, NAME, folder, progress=None)

    step = first
    while True:
        begin(folder)
        stopped = is_stopped(step, work)
        done = written(folder)
        work()
        assert_nothing_twice(done, folder)
        assert_same(folder, undisturbed)
        if not stopped:
            return step
        shutil.rmtree(folder)
        step += 1


@pytest.mark.slow
def test_while_it_is_created(tiny_config: MakeConfig, tmp_path: Path, undisturbed_tiny: Undisturbed) -> None:
    config = tiny_config()
    n_steps = number_of_steps(lambda: design_campaign(config, NAME, tmp_path / "counted"))
    assert n_steps > 20
    for step in range(1, n_steps + 1, 4):  # one variable is created as the other
        folder = tmp_path / str(step)
        assert is_stopped(step, lambda folder=folder: design_campaign(config, NAME, folder))  # type: ignore[misc]
        assert not (folder / f"{NAME}.zarr").exists()
        run_campaign(config, NAME, folder, progress=None)
        assert_same(folder, undisturbed_tiny())


@pytest.mark.slow
def test_while_it_is_simulated_and_sealed(
    tiny_config: MakeConfig, tmp_path: Path, undisturbed_tiny: Undisturbed
) -> None:
    config = tiny_config()
    design_campaign(config, NAME, tmp_path / "designed")

    def begin(folder: Path) -> None:
        shutil.copytree(tmp_path / "designed", folder)

    n_steps = _check_from(1, tmp_path / "run", begin, config, undisturbed_tiny())
    assert n_steps > 4 * 3 + 2  # three files a shard, metadata, manifest


@pytest.mark.slow
def test_while_a_shard_that_was_not_full_is_completed(
    tiny_config: MakeConfig, tmp_path: Path, undisturbed_tiny: Undisturbed
) -> None:
    """Its source is there already when its status is written: the order counts."""
    config = tiny_config({"n": AFTER})
    shutil.copytree(undisturbed_tiny(BEFORE), tmp_path / "extended")
    design_campaign(config, NAME, tmp_path / "extended")

    def begin(folder: Path) -> None:
        shutil.copytree(tmp_path / "extended", folder)

    n_steps = _check_from(1, tmp_path / "run", begin, config, undisturbed_tiny(AFTER))
    assert n_steps > 3 * 3 + 2
