"""Kills over one campaign: of workers, of drivers, of schedulers, at random moments.

The moments are drawn from a seed; JRFLOW_SEED is another one. A hundred kills take ten minutes: make
test-long.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from evidence import NAME, assert_nothing_twice, assert_same, written
from processes import Program, jrflow, jrflow_at_once, running, scheduler_and_worker, until

from jrflow.archive.lock import lock_path

WriteConfig = Callable[..., Path]

SEED = int(os.environ.get("JRFLOW_SEED", "0"))

#: Of twenty kills: drivers that simulate themselves, one of them from the start of Python on; a driver with
#: workers, which loses six of them before it is killed itself; a scheduler. To start a worker takes seconds
#: of a core, a driver that is forked half a second.
IN_PROCESS, WITH_WORKERS, OF_SCHEDULERS = 12, 1, 1
WORKERS_EACH = 6

#: A shard takes a sixth of a second: half of it to read its design, the rest to simulate and to be written.
MOMENT = 0.4  # s
#: To import, to open or create the store, to look at what is done.
BEGINNING = 3.0  # s
SCHEDULER_NOTICED_WITHIN = 45.0  # s


@dataclass
class Campaign:
    """One campaign that is killed again and again; where it finishes too early, the next one."""

    root: Path
    config: Path
    undisturbed: Path
    n_shards: int
    rng: random.Random
    kills: dict[str, int] = field(default_factory=dict)
    number: int = 0
    history: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / str(self.number)

    @property
    def n_kills(self) -> int:
        return sum(self.kills.values())

    def start(self, config: Path | None = None, **environment: str) -> Program:
        return jrflow("campaign", config or self.config, NAME, "--out", self.folder, **environment)

    def start_at_once(self) -> Program:
        return jrflow_at_once("campaign", self.config, NAME, "--out", self.folder)

    def proceeds(self, driver: Program, n_done: int) -> bool:
        """Wait until one more shard is done; whether the driver is still running then."""
        folder = self.folder / f"{NAME}.zarr" / "status" / "c"

        def is_done() -> bool:
            return sum(path.name.isdecimal() for path in folder.glob("*")) > n_done  # no leftovers

        until(lambda: is_done() or not driver.lives_for(0), "another shard")
        return driver.lives_for(0)

    def count(self, victim: str, moment: str) -> None:
        self.kills[victim] = self.kills.get(victim, 0) + 1
        self.history.append(f"{victim} {moment} ({len(written(self.folder))} done)")

    def moment(self, longest: float) -> float:
        return self.rng.uniform(0, longest)

    def check_beginning(self, driver: Program, done: dict[int, int]) -> bool:
        """Whether the driver came to the point of simulating; it then knows what is done."""
        if driver.hears(r"shards to simulate: (\d+)") is None:
            return False
        begun = [line for line in driver.said if "shards done" in line]
        counted = f"{NAME}: going on; shards done: {len(done)} of {self.n_shards}\n"
        assert begun in ([counted], [] if not done else [counted])
        return True

    def finish(self) -> None:
        """Run it to its end, and compare."""
        done = written(self.folder)
        code, text = self.start().ends(300)
        assert code == 0, text
        assert_nothing_twice(done, self.folder)
        assert_same(self.folder, self.undisturbed)

    def ended_by_itself(self, driver: Program) -> None:
        """It finished before it could be killed: compare, and go on with another one."""
        code, text = driver.ends()
        assert code == 0, text
        assert_same(self.folder, self.undisturbed)
        self.number += 1


def _kill_in_process(campaign: Campaign, *, anew: bool) -> None:
    done = written(campaign.folder)
    driver = campaign.start() if anew else campaign.start_at_once()
    with running(driver):
        if not anew and not (campaign.check_beginning(driver, done) and campaign.proceeds(driver, len(done))):
            campaign.ended_by_itself(driver)
            return
        moment = campaign.moment(BEGINNING if anew else MOMENT)
        if driver.lives_for(moment) and driver.kill():
            campaign.count("driver", f"{moment:.3f} s after {'its start' if anew else 'a shard'}")
        else:
            campaign.ended_by_itself(driver)


def _kill_with_workers(campaign: Campaign, config: Path) -> None:
    done = written(campaign.folder)
    driver = campaign.start(config)
    with running(driver):
        if not (campaign.check_beginning(driver, done) and campaign.proceeds(driver, len(done))):
            campaign.ended_by_itself(driver)
            return
        for _ in range(WORKERS_EACH):
            moment = campaign.moment(2 * MOMENT)
            if driver.lives_for(moment) and _kill_a_worker(driver, campaign.rng):
                campaign.count("worker", f"{moment:.3f} s later")
        moment = campaign.moment(2 * MOMENT)
        if driver.lives_for(moment) and driver.kill():
            campaign.count("driver with workers", f"{moment:.3f} s later")
        else:
            campaign.ended_by_itself(driver)


def _kill_a_worker(driver: Program, rng: random.Random) -> bool:
    """Kill one of those that are there; killed ones are started again while the others go on."""
    until(lambda: driver.workers() or not driver.lives_for(0), "a worker")
    workers = driver.workers()
    if not workers:
        return False
    try:
        rng.choice(workers).kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _kill_scheduler(campaign: Campaign, write_config: WriteConfig) -> None:
    scheduler, worker, address, environment = scheduler_and_worker(campaign.root / "scheduler")
    config = write_config("scheduler", backend="scheduler", scheduler=address)
    done = written(campaign.folder)
    driver = campaign.start(config, **environment)
    with running(scheduler, worker, driver):
        if not (campaign.check_beginning(driver, done) and campaign.proceeds(driver, len(done))):
            campaign.ended_by_itself(driver)
            return
        moment = campaign.moment(2 * MOMENT)
        if not (driver.lives_for(moment) and scheduler.kill()):
            campaign.ended_by_itself(driver)
            return
        campaign.count("scheduler", f"{moment:.3f} s after a shard")
        code, text = driver.ends(SCHEDULER_NOTICED_WITHIN)
        assert code == 2, text
        gone = "jrflow: the Dask scheduler has ended. Finished work is kept: start the same command again"
        assert text.splitlines()[-1].startswith(gone)


def _course(rng: random.Random) -> Iterator[str]:
    while True:
        victims = ["driver anew"] + ["driver"] * (IN_PROCESS - 1)
        victims += ["workers"] * WITH_WORKERS + ["scheduler"] * OF_SCHEDULERS
        rng.shuffle(victims)
        yield from victims


@pytest.mark.slow
@pytest.mark.parametrize("n_kills", [20, pytest.param(100, marks=pytest.mark.long)])
def test_a_campaign_survives_kills(
    n_kills: int, tmp_path: Path, write_config: WriteConfig, in_process: Path, undisturbed: Path
) -> None:
    rng = random.Random(SEED)
    campaign = Campaign(tmp_path, in_process, undisturbed, len(written(undisturbed)), rng)
    with_workers = write_config("with-workers", backend="local", n_workers=2)
    try:
        for victim in _course(rng):
            if campaign.n_kills >= n_kills:
                break
            number, done = campaign.number, written(campaign.folder)
            if victim.startswith("driver"):
                _kill_in_process(campaign, anew=victim.endswith("anew"))
            elif victim == "workers":
                _kill_with_workers(campaign, with_workers)
            else:
                _kill_scheduler(campaign, write_config)
            assert_nothing_twice(done, campaign.root / str(number))
        campaign.finish()
    finally:
        sys.stderr.write(f"seed {SEED}, campaigns: {campaign.number + 1}, kills: {campaign.kills}\n")
        sys.stderr.write("\n".join(campaign.history) + "\n")
    assert campaign.n_kills >= n_kills
    assert not lock_path(campaign.folder / f"{NAME}.zarr").exists()
