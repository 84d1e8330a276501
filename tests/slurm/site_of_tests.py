"""The test cluster as the tests use it: its description, its jobs, and what is done to them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

ROOT = Path(__file__).parents[2]
TINY: dict[str, Any] = yaml.safe_load((ROOT / "tests/tiny.yaml").read_text(encoding="utf-8"))
#: A second network or preset takes time, and does nothing to Slurm that the first does not.
for second in ("npe", "bilstm-as-published"):
    del TINY["inference"]["models"][second]
for second in ("train-as-published", "test-as-published", "oat-as-published"):
    del TINY["campaigns"][second]
TINY["sensitivity"]["one_at_a_time"] = ["oat"]
TINY["execution"]["backend"] = "in-process"
CLUSTER_SH = ROOT / "tests/slurm/cluster.sh"
STOPPING = ROOT / "tests/slurm/stopping"
#: Shards that take a moment each: where a test disturbs a campaign, it stops a process at a shard (``Stop``).
SHARDS: dict[str, Any] = {
    "run": {"name": "shards"},
    "simulation": {"protocol": {"kind": "evoked", "n_trials": 4}},
    "priors": {"half": {"kind": "relative-uniform"}},
    "campaigns": {"train": {"design": "prior", "n": 96, "prior": "half"}},
    "eeg": {"noise": {"quiet": {"kind": "snr", "snr_db": 20}}},
    "inference": {},
    "execution": {"shard_size": 4, "chunk_size": 4, "n_workers": 1},
}
#: So long may anything take that is not a time limit, s: a busy machine, and Slurm's own pauses.
PATIENCE = 300.0


def environment(**more: str) -> dict[str, str]:
    """The interpreter's own environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"} | more


def shell(*command: str | Path, check: bool = True, timeout: float = 900.0, **told: str) -> str:
    """Run a command, with this in its environment, and return what it says."""
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=timeout, env=environment(**told),
        check=False,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def cluster_sh(*words: str) -> str:
    """Do something to the test cluster."""
    return shell("bash", CLUSTER_SH, *words)


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> Any:
    """Wait for something and return it."""
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, f"{what}: not within {seconds:g} s\n{shell('squeue', check=False)}"
        time.sleep(0.2)
    return found


def processes_in(job: str, **told: str) -> list[psutil.Process]:
    """Processes of a job, whose environment says so, and this too."""
    wanted, found = {"SLURM_JOB_ID": job} | told, []
    for process in psutil.process_iter():
        try:
            if wanted.items() <= process.environ().items():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


class Stop:
    """A moment at which one process stops itself, so that a test can disturb its job there.

    Jobs of these tests are small and quick; without a stop, a job could end before the test disturbs it.

    Parameters
    ----------
    folder
        Folder of the test.
    path, number
        The process stops before it puts the number-th file whose path ends so in its place.
    for_good
        Whether the process stops again when Slurm wakes it, until it is killed.
    """

    def __init__(self, folder: Path, path: str, number: int = 1, *, for_good: bool = False) -> None:
        self._mark = folder / "stopped"
        where = {"path": path, "number": number, "mark": str(self._mark), "for_good": for_good}
        stopping = os.pathsep.join(filter(None, [str(STOPPING), os.environ.get("PYTHONPATH")]))
        #: What the process that starts the job has in its environment, besides its own.
        self.environment = {"JRFLOW_TEST_STOP": json.dumps(where), "PYTHONPATH": stopping}

    def wait(self, driver: subprocess.Popen[str] | None = None) -> psutil.Process:
        """Wait until the process has stopped, unless the driver of its job ends before."""

        def is_stopped() -> bool:
            if not self._mark.exists():
                assert driver is None or driver.poll() is None, "the driver ended before a process stopped"
                return False
            return psutil.Process(int(self._mark.read_text())).status() == psutil.STATUS_STOPPED

        until(is_stopped, "a process that stops")
        return psutil.Process(int(self._mark.read_text()))

    @contextmanager
    def held(self, driver: subprocess.Popen[str] | None = None) -> Iterator[str]:
        """Hold the process while its job is disturbed; gives the job. Slurm may wake the process before."""
        process = self.wait(driver)
        try:
            yield process.environ()["SLURM_JOB_ID"]
        finally:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def run_name(folder: Path) -> str:
    """Name of a run that no other test has: jobs are told apart by it."""
    return f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:10]}"


def write_cluster(folder: Path, **settings: Any) -> Path:
    """Write a description of the test cluster; small jobs, one process for each training."""
    training = {"gpus_per_node": 0, "cores_per_rank": 1} | settings.pop("training", {})
    content = {
        "account": "lab", "partition": "cpu", "interface": "lo", "cores": 2, "nodes": 2, "poll": 1,
        "shortest_job": 0, "longest_job": 10, "training": training,
    } | settings  # fmt: skip
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def jobs(prefix: str, states: str = "PENDING,RUNNING,COMPLETING,CONFIGURING,SUSPENDED") -> dict[str, str]:
    """State of the jobs that are not over and whose names begin so."""
    lines = shell("squeue", "--noheader", "--array", f"--states={states}", "-o", "%i|%j|%T", check=False)
    found = [line.split("|") for line in lines.splitlines() if line.count("|") == 2]
    return {job: state for job, name, state in found if name.startswith(prefix)}


def running(prefix: str) -> list[str]:
    """Jobs that run and whose names begin so."""
    return [job for job, state in jobs(prefix).items() if state == "RUNNING"]


def assert_none_left(prefix: str) -> None:
    """No job of this name is left; one that is being ended may take a moment."""
    until(lambda: not jobs(prefix), f"the end of all jobs {prefix}", 120)


def preempt() -> str:
    """Submit a job that takes the node of the partition spot for some seconds."""
    words = ["--partition=urgent", "--ntasks=4", "--mem-per-cpu=100", "--output=/dev/null", "--wrap=sleep 3"]
    return shell("sbatch", "--parsable", *words).strip()


@contextmanager
def once(folder: Path) -> Iterator[bool]:
    """Hold a folder that several processes of the tests share; whether it has still to be filled."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield not (folder / "filled").exists()
        (folder / "filled").touch()


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that all processes of this run of the tests share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
