"""Campaigns spread over nodes by Dask: the archives are those of a single process, whatever happens."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from evidence import assert_nothing_twice, assert_same, written
from site_of_tests import (
    SHARDS,
    Stop,
    assert_none_left,
    environment,
    jobs,
    processes_in,
    run_name,
    running,
    shell,
    until,
    write_cluster,
)

WriteConfig = Callable[..., Path]


@contextmanager
def campaign(
    config: Path, out: Path, cluster: Path, stop: Stop | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start jrflow campaign; it ends with the context, and its jobs with it."""
    command = ["jrflow", "campaign", config, "train", "--out", out, "--jobs", jobs_of(out)]
    driver = subprocess.Popen(
        [*map(str, command), f"--cluster={cluster}"], cwd=config.parent, text=True,
        env=environment(**stop.environment if stop else {}),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield driver
    finally:
        driver.kill()
        driver.communicate()
        for job in jobs(prefix(config)):
            shell("scancel", job, check=False)


def jobs_of(out: Path) -> Path:
    """Folder of the jobs' files."""
    return out.parent / "jobs"


def prefix(config: Path) -> str:
    """How the names of the jobs begin."""
    return f"jrflow-{run_name(config.parent)}-train"


def ends(driver: subprocess.Popen[str], code: int = 0, seconds: float = 600) -> str:
    said, _ = driver.communicate(timeout=seconds)
    assert driver.returncode == code, said
    return said


@pytest.mark.parametrize("simulate", ["node", "adaptive"])
def test_the_archive_is_that_of_a_single_process(
    simulate: str, tmp_path: Path, write_config: WriteConfig, undisturbed: Path
) -> None:
    config, out = write_config(SHARDS), tmp_path / "out"
    with campaign(config, out, write_cluster(tmp_path, simulate=simulate)) as driver:
        said = ends(driver)
    assert_same(out, undisturbed)
    assert_none_left(prefix(config))
    folder = jobs_of(out)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pem")], (
        "nothing secret is there"
    )
    if simulate == "adaptive":
        assert "ssh -N -L" in said


def test_a_cancelled_worker_job_is_replaced(
    tmp_path: Path, write_config: WriteConfig, undisturbed: Path
) -> None:
    config, out = write_config(SHARDS), tmp_path / "out"
    stop = Stop(tmp_path, "status/c/3")
    with campaign(config, out, write_cluster(tmp_path, simulate="adaptive", nodes=1), stop) as driver:
        with stop.held(driver) as job:
            until(lambda: len(written(out)) >= 3, "three shards")
            assert {*_listening(job)} == {"127.0.0.1"}, "workers, nannies and their HTTP servers"
            done = written(out)
            shell("scancel", job)
            until(lambda: set(running(prefix(config))) - {job}, "another job of workers")
        ends(driver)
    assert_nothing_twice(done, out)
    assert_same(out, undisturbed)


def test_no_worker_comes(tmp_path: Path, write_config: WriteConfig) -> None:
    config = write_config(SHARDS)
    cluster = write_cluster(
        tmp_path, simulate="adaptive", partition="cpu", cores=4, nodes=1, wait_for_workers=0.2
    )
    words = ["--partition=cpu", "--exclusive", "--output=/dev/null", "--wrap=sleep 300"]
    blocking = [shell("sbatch", "--parsable", *words).strip() for _ in range(2)]
    try:
        with campaign(config, tmp_path / "out", cluster) as driver:
            said = ends(driver, code=2)
        assert "no Dask worker started within 0.2 min (wait_for_workers in cluster.yaml)" in said
        assert f"Jobs {prefix(config)} in squeue: job" in said
        assert "PENDING (" in said
        assert_none_left(prefix(config))
    finally:
        shell("scancel", *blocking)


@pytest.mark.parametrize("simulate", ["node", "adaptive"])
def test_an_interrupted_driver_leaves_no_job(
    simulate: str, tmp_path: Path, write_config: WriteConfig
) -> None:
    config, out = write_config(SHARDS), tmp_path / "out"
    stop = Stop(tmp_path, "status/c/1")
    cluster = write_cluster(tmp_path, simulate=simulate)
    with campaign(config, out, cluster, stop) as driver, stop.held(driver):
        driver.send_signal(signal.SIGTERM if simulate == "node" else signal.SIGINT)
        ends(driver, code=130, seconds=180)
    assert_none_left(prefix(config))


def test_full_scratch_is_told_and_something_else_taken(
    tmp_path: Path, write_config: WriteConfig, undisturbed: Path
) -> None:
    config, out, scratch = write_config(SHARDS), tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    shell("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", scratch)
    try:
        cluster = write_cluster(tmp_path, simulate="node", scratch=str(scratch))
        with campaign(config, out, cluster) as driver:
            ends(driver)
    finally:
        shell("umount", scratch)
    logs = "".join(path.read_text() for path in jobs_of(out).glob("*/*_log.err"))
    assert f"scratch {scratch}: only" in logs
    assert_same(out, undisturbed)


def _listening(job: str) -> Iterator[str]:
    """Addresses that processes of a job listen on."""
    for process in processes_in(job):
        with suppress(psutil.NoSuchProcess):
            yield from (c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN)
