"""One run on this machine and under Slurm, in turns: what the scheduler adds; are the archives the same?"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from table import Table

from cases.campaigns import size_on_disk
from cases.planning import environment, snakemake, write_profile
from jrflow.config import load_config
from jrflow.config.cluster import ClusterConfig, TrainingNodes

ROOT = Path(__file__).parents[2]
_TEST = ["--workflow-profile", str(ROOT / "profiles/test")]
#: Commands of Slurm that ask, and the one that submits; each call of them leaves a line.
_ASKING, _SUBMITTING = ("sacct", "squeue", "scontrol", "sinfo"), "sbatch"
_CLUSTER = ClusterConfig(
    account="lab", partition="cpu", interface="lo", cores=2, nodes=2, poll=1, longest_job=60,
    training=TrainingNodes(gpus_per_node=0, cores_per_rank=1),
)  # fmt: skip


#: Rules of one core that share jobs.
_GROUPED = ("lead_field", "noise_levels", "limits", "one_at_a_time", "evaluate")


@dataclass(frozen=True)
class Job:
    """One job of Slurm: time it waited and time it took, s."""

    waited: float
    took: float


@dataclass(frozen=True)
class Run:
    """What one run took and left.

    Attributes
    ----------
    seconds
        Wall time of the command.
    results, hidden
        Files below results, and below .snakemake.
    asked, submitted
        Calls of Slurm's commands.
    jobs
        As sacct knows them.
    archives
        The manifests' checksums, by campaign.
    """

    seconds: float
    results: int
    hidden: int
    asked: int
    submitted: int
    jobs: list[Job]
    archives: dict[str, object]


def run(folder: Path, config: Path, repeats: int) -> Table:
    """Run a configuration both ways, in turns; or on this machine alone where there is no test cluster."""
    ways = {"this machine": False} | ({"Slurm": True} if _is_there() else {})
    if len(ways) == 1:
        print("no test cluster (tests/slurm/cluster.sh up starts it): only this machine is timed")
    _once(folder / "first", config, slurm=False)  # compiles; not counted
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, slurm in ways.items():
            runs[way].append(_once(folder / f"{len(runs[way])}-{int(slurm)}", config, slurm=slurm))
            print(f"{way}: {runs[way][-1].seconds:.0f} s (load {os.getloadavg()[0]:.1f})", flush=True)
    return _tell(config, runs)


def _is_there() -> bool:
    """Whether this is the test cluster; of others nothing is asked."""
    if shutil.which("scontrol") is None:
        return False
    said = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=False).stdout
    return any(line.split() == ["ClusterName", "=", "test"] for line in said.splitlines())


def _once(folder: Path, config: Path, *, slurm: bool) -> Run:
    """Run everything in a folder of its own, and remove it."""
    folder.mkdir(parents=True)
    shutil.copy(config, folder / "config.yaml")
    counted = environment() | {"GIT_DIR": os.devnull}  # the commit may change meanwhile
    counted["PATH"] = f"{_counters(folder)}{os.pathsep}{counted['PATH']}"
    options = ["--profile", str(_profile(folder))] if slurm else _TEST
    begin, since = time.perf_counter(), datetime.now().replace(microsecond=0)
    done = subprocess.run(
        snakemake(folder, *options), cwd=folder, env=counted, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    results = load_config(folder / "config.yaml").run.results
    calls = (folder / "calls").read_text().split() if (folder / "calls").exists() else []
    found = Run(
        seconds, size_on_disk(folder / results)[0], size_on_disk(folder / ".snakemake")[0],
        sum(calls.count(name) for name in _ASKING), calls.count(_SUBMITTING),
        _jobs(folder, since) if slurm else [], _archives(folder / results),
    )  # fmt: skip
    shutil.rmtree(folder)
    return found


def _profile(folder: Path) -> Path:
    """Profile of the test cluster, whose nodes share one disk: files are there at once."""
    profile = write_profile(folder, _CLUSTER)
    path = profile / "config.yaml"
    text = path.read_text().replace("latency-wait: 60", "latency-wait: 5")
    # Of steps that share a job and could run side by side, Snakemake asks srun for a core each, though one
    # was asked for all: refused. Below 0, the number of cores is left out.
    path.write_text(
        text + "set-resources:\n" + "".join(f"  {rule}:\n    cpus_per_task: 0 - 1\n" for rule in _GROUPED)
    )
    return profile


def _counters(folder: Path) -> Path:
    """Commands that stand before those of Slurm, leave a line, and call them."""
    counters = folder / "counters"
    counters.mkdir()
    for name in (*_ASKING, _SUBMITTING):
        if real := shutil.which(name):
            (counters / name).write_text(f'#!/bin/sh\necho {name} >> {folder}/calls\nexec {real} "$@"\n')
            (counters / name).chmod(0o755)
    return counters


def _jobs(folder: Path, since: datetime) -> list[Job]:
    """Jobs that were submitted from a folder."""
    columns = "Submit,Start,ElapsedRaw,WorkDir%-300"
    command = ["sacct", "-X", "-n", "-P", "-S", since.isoformat(), "-o", columns]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    jobs = []
    for line in lines:
        submitted, started, took, where = line.split("|")
        if Path(where).is_relative_to(folder):
            waited = datetime.fromisoformat(started) - datetime.fromisoformat(submitted)
            jobs.append(Job(waited.total_seconds(), float(took)))
    return jobs


def _archives(results: Path) -> dict[str, object]:
    """Sizes and checksums of every file of every archive."""
    return {path.stem: json.loads(path.read_text())["files"] for path in results.glob("*/archives/*.json")}


def _tell(config: Path, runs: dict[str, list[Run]]) -> Table:
    table = Table(f"{config.name}, whole pipeline, medians", *runs)
    each = list(runs.values())
    here = statistics.median(run.seconds for run in each[0])

    def add(name: str, *cells: str) -> None:
        table.add(name, *cells)

    def median(of: list[Run], what: str) -> str:
        return f"{statistics.median(getattr(run, what) for run in of):,.0f}"

    seconds = [statistics.median(run.seconds for run in of) for of in each]
    add("seconds", *(f"{value:.0f}" for value in seconds))
    add("all runs, s", *(", ".join(f"{run.seconds:.0f}" for run in of) for of in each))
    add("times this machine", *(f"{value / here:.2f}" for value in seconds))
    add("jobs of Slurm", *(f"{statistics.median(len(run.jobs) for run in of):.0f}" for of in each))
    for name, what in {"sbatch": "submitted", "questions": "asked"}.items():
        add(f"{name} (calls of the command)", *(median(of, what) for of in each))
    for name, what in {"results": "results", ".snakemake": "hidden"}.items():
        add(f"files below {name}", *(median(of, what) for of in each))
    for name, jobs in {"waited": "waited", "took": "took"}.items():
        add(f"a job {name}, shortest, median, longest, s", *(_three(of, jobs) for of in each))
    first = each[0][0].archives
    same = all(run.archives == first for of in each for run in of)
    verdict = f"the same {len(first)}" if same else "DIFFERENT"
    add("archives, by the checksums of their files", *(verdict for _ in each))
    return table


def _three(runs: list[Run], what: str) -> str:
    values = [getattr(job, what) for run in runs for job in run.jobs]
    if not values:
        return "-"
    return f"{min(values):.0f}, {statistics.median(values):.0f}, {max(values):.0f}"
