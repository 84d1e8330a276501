"""The test cluster as the tests use it: its description, its jobs, and what is done to them."""

from __future__ import annotations

import hashlib
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
CLUSTER_SH = ROOT / "tests/slurm/cluster.sh"
#: Every trial is simulated: some seconds a shard, so that there is something to interrupt.
LONG: dict[str, Any] = {
    "run": {"name": "long"},
    "simulation": {"protocol": {"kind": "evoked", "n_trials": 120}, "steady_state_tolerance": None},
    "priors": {"half": {"kind": "relative-uniform"}},
    "campaigns": {"train": {"design": "prior", "n": 6_000, "prior": "half"}},
    "eeg": {"noise": {"quiet": {"kind": "snr", "snr_db": 20}}},
    "inference": {},
    "execution": {"shard_size": 250, "chunk_size": 250, "n_workers": 1},
}
#: So long may anything take that is not a time limit, s: a busy machine, and Slurm's own pauses.
PATIENCE = 300.0


def environment(**more: str) -> dict[str, str]:
    """The interpreter's own environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"} | more


def shell(*command: str | Path, check: bool = True, timeout: float = 900.0) -> str:
    """Run a command and return what it says."""
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=timeout, env=environment(), check=False
    )
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


@contextmanager
def held(processes: list[psutil.Process]) -> Iterator[None]:
    """Stop processes meanwhile: a quick machine would be done before what is to happen to them happens."""
    assert processes
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
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


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that all processes of this run of the tests share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
