"""Run a program that submits jobs as a job: for clusters that forbid long programs on login nodes."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from submitit.helpers import clean_env

from jrflow.cluster.inheritance import inherited
from jrflow.cluster.queue import absent
from jrflow.cluster.record import SubmissionError
from jrflow.config.cluster import ClusterConfig

#: Time before its time limit at which a driver interrupts its command and requeues its job, s.
_NOTICE = 120

_BODY = """\
# Slurm's variables for this job would override the requests of the jobs that the command submits.
job=$SLURM_JOB_ID starts=${SLURM_RESTART_COUNT:-0}
unset ${!SLURM_@} ${!SRUN_@} ${!SBATCH_@} CUDA_VISIBLE_DEVICES
command=(%(command)s)
# A driver that was killed leaves Snakemake's lock. Remove it: no other driver runs in this folder.
if [ "$starts" -gt 0 ] && [ "$(basename "${command[0]}")" = snakemake ]; then "${command[@]}" --unlock; fi
again=
# Job control: the command has its own process group, which can be interrupted as Ctrl-C does.
set -m
"${command[@]}" &
driven=$!
trap 'again=yes; kill -INT -- -$driven' USR1
trap 'kill -INT -- -$driven' TERM
# A signal also ends "wait", so wait until the command has ended; the last "wait" gives its exit code.
while kill -0 "$driven" 2>/dev/null; do wait "$driven"; done
wait "$driven"
code=$?
if [ -n "$again" ]; then
  echo "out of time; continued in another job"
  exec scontrol requeue "$job"
fi
exit "$code"
"""


def submit_driver(
    command: Sequence[str], cluster: ClusterConfig, log: Path, minutes: int | None = None
) -> tuple[str, Path]:
    """Submit a driver: a job that runs a command which submits jobs.

    The driver may be shorter than the run. Before its time limit it interrupts the command, which cancels
    its jobs, and Slurm puts the driver back into the queue. A driver that is cancelled also interrupts its
    command. If the same driver is submitted again from the same folder, it starts after the first one has
    ended.

    Parameters
    ----------
    command
        Words of the command, such as ``snakemake --profile slurm``.
    cluster
        Account, partition and longest time limit.
    log
        File for the output; %j is replaced by the job id.
    minutes
        Time limit, minutes; by default the longest of the cluster.

    Returns
    -------
    Id of the job, and path of its log.

    Raises
    ------
    SubmissionError
        If Slurm refuses the job.
    """
    if shutil.which("sbatch") is None:
        raise SubmissionError(absent("sbatch"))
    log.parent.mkdir(parents=True, exist_ok=True)
    script = "\n".join(
        [*_head(cluster, _name(command), log, minutes or cluster.longest_job), *cluster.setup, ""]
    )
    script += _BODY % {"command": shlex.join(command)}
    with clean_env(("CUDA_VISIBLE_DEVICES",)), inherited(cluster):
        done = subprocess.run(
            ["sbatch", "--parsable"], input=script, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SubmissionError(f"Slurm refused the driver job: {done.stderr.strip()}\n{script}")
    job = done.stdout.strip().split(";")[0]
    return job, Path(str(log).replace("%j", job))


def _name(command: Sequence[str]) -> str:
    """Name of the job, unique to command and folder: Slurm runs only one driver of a name at a time."""
    words = "\0".join([str(Path.cwd()), *command])
    return f"jrflow-driver-{hashlib.sha256(words.encode()).hexdigest()[:8]}"


def _head(cluster: ClusterConfig, name: str, log: Path, minutes: int) -> Iterator[str]:
    yield "#!/bin/bash"
    yield "#SBATCH --requeue"
    # A driver that is being cancelled holds Snakemake's lock until all its jobs have ended.
    yield "#SBATCH --dependency=singleton"
    options = {
        "job-name": name, "output": str(log), "open-mode": "append",
        "time": str(minutes), "signal": f"B:USR1@{_NOTICE}", "cpus-per-task": "1", "mem": "4G",
        "account": cluster.account, "partition": cluster.partition, "qos": cluster.qos,
        "constraint": cluster.constraint, "chdir": str(Path.cwd()),
    }  # fmt: skip
    for name, value in options.items():
        if value is not None:
            yield f"#SBATCH --{name}={shlex.quote(value)}"
