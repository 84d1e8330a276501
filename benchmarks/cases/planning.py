"""Planning a campaign of many jobs: a dry run of the workflow under the profile of a cluster."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
import yaml
from table import Table

from jrflow.config import Config
from jrflow.config.cluster import ClusterConfig
from jrflow.config.profile import cluster_yaml, snakemake_profile
from jrflow.planning.requests import Requests

ROOT = Path(__file__).parents[2]
#: Jobs of a campaign, and one campaign as the page at scale has it, divided by the cost model.
BLOCKS = (10, 100, 1_000, 10_000)
PACKED = "10^8 networks, packed"
_SHARD = 64
#: So often is memory looked at, s.
_INTERVAL = 0.1


def run(folder: Path, blocks: tuple[int, ...], repeats: int) -> Table:
    """Plan campaigns of so many blocks, and the packed one, taking turns."""
    cases = {f"{n:,} blocks": _blocks(n) for n in blocks} | {PACKED: _packed()}
    prepared = {name: _prepare(folder / str(k), config) for k, (name, config) in enumerate(cases.items())}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, command in prepared.items():
            taken[name].append(watched(command, folder))
    table = Table(
        "snakemake -n of one campaign, profile slurm: nothing is simulated or submitted",
        "jobs", "s", "ms a job", "peak memory, MB",
    )  # fmt: skip
    for name, config in cases.items():
        seconds, peak = (statistics.median(column) for column in zip(*taken[name], strict=True))
        jobs = n_jobs(config)
        table.add(name, f"{jobs:,}", f"{seconds:.1f}", f"{1e3 * seconds / jobs:.1f}", f"{peak / 1e6:.0f}")
    return table


def n_jobs(config: Config) -> int:
    """Jobs of the campaign: its blocks, and the design, the seal, and one that says that all are done."""
    n_regions = getattr(config.simulation.connectome, "n_regions", 1)
    return Requests(config, _CLUSTER, n_regions, 1).n_blocks("train") + 3


#: Where a scheduler takes a thousand jobs of a user.
_CLUSTER = ClusterConfig(account="lab", partition="cpu", cores=64, most_jobs=1000, shortest_job=1)


def _blocks(n: int) -> Config:
    return _config(n * _SHARD, {}, {"shard_size": _SHARD, "shards_per_block": 1})


def _packed() -> Config:
    connectome = {"kind": "synthetic", "n_regions": 200, "normalise": "in-strength"}
    return _config(100_000_000, {"connectome": connectome}, {})


def _config(n: int, simulation: dict[str, object], execution: dict[str, object]) -> Config:
    return Config.model_validate(
        {
            "run": {"name": "plan"},
            "simulation": {"protocol": {"kind": "evoked"}} | simulation,
            "priors": {"half": {"kind": "relative-uniform"}},
            "campaigns": {"train": {"design": "prior", "n": n, "prior": "half"}},
            "execution": execution,
        }
    )


def _prepare(folder: Path, config: Config) -> list[str]:
    """Write configuration and profile; the command that plans."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)))
    profile = write_profile(folder, _CLUSTER)
    return snakemake(
        folder, "-n", "--quiet", "all", "--profile", str(profile), target="results/plan/archives/train.json"
    )


def write_profile(folder: Path, cluster: ClusterConfig) -> Path:
    """Write the description of a cluster, and Snakemake's profile for it."""
    (folder / "cluster.yaml").write_text(cluster_yaml(cluster))
    profile = folder / "profile"
    profile.mkdir()
    text = snakemake_profile(cluster, str(profile), str(folder / "cluster.yaml"))
    (profile / "config.yaml").write_text(text)
    return profile


def snakemake(folder: Path, *options: str, target: str = "") -> list[str]:
    """Command that runs the workflow in a folder, whose configuration is there."""
    where = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    configuration = ["--configfile", str(folder / "config.yaml")]
    command = [sys.executable, "-m", "snakemake", *where, *configuration, *options]
    return [*command, "--", target] if target else command


def environment() -> dict[str, str]:
    """The interpreter's own, with this checkout's package."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    source = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PATH": path, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}


def watched(command: list[str], folder: Path) -> tuple[float, int]:
    """Run a command: seconds, and the largest resident memory of its process, bytes."""
    log, peak = folder / "log.txt", 0
    begin = time.perf_counter()
    with log.open("w") as terminal:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=terminal, stderr=subprocess.STDOUT
        )
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, seen.memory_info().rss)
            except psutil.Error:  # it has ended meanwhile
                break
            time.sleep(_INTERVAL)
        process.wait()
    seconds = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(log.read_text())
    return seconds, peak
